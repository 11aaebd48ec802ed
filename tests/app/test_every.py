"""`every`: a timer that fires every so many seconds."""

from __future__ import annotations

import logging
from time import monotonic

import anyio
import pytest

from modd.app import every
from modd.testing import run_virtual
from modd.worker import AlreadyRunning
from tests.app.timed import Remind, Times, run_for, running
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("at_once", "expected"), [(False, [10, 20, 30]), (True, [0, 10, 20, 30])])
async def test_it_fires_at_multiples_of_its_seconds_since_the_start(at_once: bool, expected: list[float]) -> None:
    # AP-20
    start, times = anyio.current_time(), Times()
    await run_for(35, every(10, Remind(), to=times.bus(), at_once=at_once))
    assert [time - start for time in times.times] == expected


async def test_a_firing_that_takes_long_leaves_out_the_next_ones_with_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-20
    start, slow, other = anyio.current_time(), Times(35), Times()
    await run_for(85, every(10, Remind(), to=slow), every(10, Remind(), to=other, name="other"))
    assert [time - start for time in slow.times] == [10, 50]
    assert [time - start for time in other.times] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert [record.getMessage() for record in caplog.records] == [
        "the timer Remind took 35.0 s, and left out the firings of that time"
    ] * 2


async def test_a_firing_that_ends_at_the_next_slot_leaves_out_none(caplog: pytest.LogCaptureFixture) -> None:
    # AP-20
    start, times = anyio.current_time(), Times(10)
    await run_for(35, every(10, Remind(), to=times))
    assert [time - start for time in times.times] == [10, 20, 30]
    assert not caplog.records


async def test_with_jitter_each_slot_fires_late_by_less_than_that_and_none_is_left_out() -> None:
    # AP-20
    start, times = anyio.current_time(), Times(9.9)
    await run_for(1010, every(10, Remind(), to=times, jitter=9))
    lateness = [time - start - 10 * number for number, time in enumerate(times.times, 1)]
    assert len(lateness) >= 100
    assert all(-0.001 <= late <= 9.001 for late in lateness)
    assert max(lateness) - min(lateness) > 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_week_takes_no_real_time(backend: str) -> None:
    # AP-26
    times, began = Times(), monotonic()
    run_virtual(run_for, 86_400.0 * 7 + 1, every(3600, Remind(), to=times), backend=backend)
    assert len(times.times) == 7 * 24
    assert monotonic() - began < 60


async def test_a_stop_ends_the_wait_at_once() -> None:
    timer, start = every(3600, Remind(), to=Times()), anyio.current_time()
    async with running(timer):
        await anyio.sleep(1)
    assert anyio.current_time() - start == 1


async def test_a_stop_waits_for_the_firing_that_is_under_way_and_no_other_comes() -> None:
    start, times = anyio.current_time(), Times(5)
    await run_for(11, every(10, Remind(), to=times))
    assert anyio.current_time() - start == 15
    assert len(times.times) == 1


async def test_a_stop_while_a_firing_waits_by_chance_ends_it_at_once() -> None:
    class Counting(Times):
        async def __call__(self, message: Remind) -> None:
            raise AssertionError("it fired")

    start = anyio.current_time()
    await run_for(1, every(1e9, Remind(), to=Counting(), at_once=True, jitter=1e9 - 1))
    assert anyio.current_time() - start == 1


async def test_a_stop_before_the_run_ends_the_next_run_and_later_ones_work() -> None:
    start, times = anyio.current_time(), Times()
    timer = every(10, Remind(), to=times)
    timer.stop()
    await timer.run()
    assert anyio.current_time() == start
    await run_for(15, timer)
    assert [time - start for time in times.times] == [10]


async def test_a_stop_may_come_from_another_thread() -> None:
    async def stop_from_thread(message: Remind) -> None:
        await anyio.to_thread.run_sync(timer.stop)

    timer = every(10, Remind(), to=stop_from_thread)
    with anyio.fail_after(60):
        await timer.run()


async def test_it_runs_once_at_a_time() -> None:
    timer = every(10, Remind(), to=Times())
    async with running(timer):
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(AlreadyRunning, match="Timer Remind"):
            await timer.run()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_can_be_run_in_one_loop_after_another(backend: str) -> None:
    times = Times()
    timer = every(10, Remind(), to=times)
    for _ in range(2):
        run_virtual(run_for, 15.0, timer, backend=backend)
    assert len(times.times) == 2


async def test_two_timers_do_not_wait_for_each_other_and_tell_their_names() -> None:
    times = Times()
    timer = every(10, Remind(), to=times, name="reminders")
    assert (timer.name, timer.label, timer.to, timer.stops_first) == ("reminders", "timer reminders", times, True)
    assert repr(timer) == "<Timer reminders>"


async def test_nothing_is_logged_above_debug_by_a_timer_that_works(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await run_for(25, every(10, Remind(), to=Times().bus()))
    assert not caplog.records
