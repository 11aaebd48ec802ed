"""`cron`: a timer that fires at the times of a cron text."""

from __future__ import annotations

import anyio
import pytest

from modd.app import cron
from modd.stores import MemoryInbox
from tests.app.clocks import SystemClock
from tests.app.timed import Remind, run_for, running
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Noted:
    """A component that notes the time of each message by a clock."""

    def __init__(self, clock: SystemClock, seconds: float = 0.0) -> None:
        self.clock, self.seconds = clock, seconds
        self.times: list[str] = []

    async def __call__(self, message: Remind) -> None:
        self.times.append(self.clock.text)
        await anyio.sleep(self.seconds)


async def test_it_fires_at_the_times_of_its_text_in_its_time_zone() -> None:
    # AP-24
    clock = SystemClock("2026-06-01T22:00:00")
    there, here = Noted(clock), Noted(clock)
    await run_for(
        5 * 3600,
        cron("30 2 2 6 *", Remind(), to=there, tz="Europe/Berlin", clock=clock),
        cron("30 2 * * TUE", Remind(), to=here, clock=clock, name="here"),
    )
    assert there.times == ["02 00:30:00"]
    assert here.times == ["02 02:30:00"]


async def test_a_time_that_does_not_exist_fires_at_the_next_and_one_that_exists_twice_fires_once() -> None:
    # AP-24
    clock = SystemClock("2026-03-28T23:00:00")
    noted = Noted(clock)
    timer = cron("30 2 * * *", Remind(), to=noted, tz="Europe/Berlin", clock=clock)
    await run_for(5 * 3600, timer)
    clock.set("2026-10-24T23:00:00")
    await run_for(5 * 3600, timer)
    assert noted.times == ["29 01:00:00", "25 00:30:00"]


async def test_a_firing_that_takes_long_leaves_out_the_times_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    clock = SystemClock("2026-06-01T00:30:00")
    noted = Noted(clock, 7300)
    await run_for(5 * 3600, cron("0 * * * *", Remind(), to=noted, clock=clock))
    assert noted.times == ["01 01:00:00", "01 04:00:00"]
    assert "7300.0 s" in caplog.text


@pytest.mark.parametrize("once", [False, True])
async def test_a_clock_that_is_set_back_does_not_repeat_a_time(once: bool) -> None:
    clock = SystemClock("2026-06-01T00:58:00")
    noted = Noted(clock)
    inbox = MemoryInbox()
    await inbox.add("timer/Remind/2026-05-31T01:00:00Z")
    async with running(cron("0 1 * * *", Remind(), to=noted, clock=clock, once=inbox if once else None)):
        await anyio.sleep(180)
        clock.set("2026-06-01T00:30:00")
        await anyio.sleep(2 * 3600)
    assert noted.times == ["01 01:00:00"]


async def test_a_clock_that_was_wrong_and_is_set_back_by_days_does_not_halt_the_timer() -> None:
    clock = SystemClock("2036-06-10T00:58:00")
    noted = Noted(clock)
    async with running(cron("0 * * * *", Remind(), to=noted, clock=clock)):
        await anyio.sleep(180)
        clock.set("2026-06-01T00:30:00")
        await anyio.sleep(7200)
    assert noted.times == ["10 01:00:00", "01 01:00:00", "01 02:00:00"]


async def test_a_clock_that_is_set_forward_fires_the_latest_time_of_a_day_within_a_minute() -> None:
    clock = SystemClock("2026-06-01T00:30:00")
    noted = Noted(clock)
    async with running(cron("0 * * * *", Remind(), to=noted, clock=clock)):
        await anyio.sleep(30)
        clock.set("2026-06-01T05:10:00")
        await anyio.sleep(120)
    assert noted.times == ["01 05:10:30"]


async def test_a_clock_that_is_set_forward_makes_up_for_no_time_that_is_a_day_old() -> None:
    clock = SystemClock("2026-06-01T00:30:00")
    noted = Noted(clock)
    async with running(cron("0 1 1 * *", Remind(), to=noted, clock=clock)):
        await anyio.sleep(30)
        clock.set("2026-06-02T01:10:00")
        await anyio.sleep(120)
    assert noted.times == []
