"""A group of workers, and the signals that stop it."""

from __future__ import annotations

import os
from signal import SIGINT, SIGTERM, Signals, getsignal
from typing import Any

import anyio
import pytest

from modd import Bus, InvalidOption
from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import Worker, run_workers
from modd.worker.termination import run_until_signalled
from tests.worker.desk import Pay, item
from tests.worker.jobs import Failing, Job, Told

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: signals come when they come."""
    return str(request.param)


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT])
async def test_the_first_signal_stops_all(signal: int) -> None:
    # ST-52
    jobs = [Job(), Job()]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_workers, *jobs)
            await jobs[1].began.wait()
            os.kill(os.getpid(), signal)
    assert [job.cancelled for job in jobs] == [False, False]


async def test_the_second_signal_cancels() -> None:
    # ST-52
    before = getsignal(SIGTERM)
    stubborn, job = Job(obeys=False), Job()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_workers, stubborn, job)
            await stubborn.began.wait()
            os.kill(os.getpid(), SIGTERM)
            await stubborn.stopped.wait()
            os.kill(os.getpid(), SIGINT)
    assert (stubborn.cancelled, job.cancelled) == (True, False)
    assert getsignal(SIGTERM) == before


async def test_after_the_second_signal_a_third_one_has_its_former_effect() -> None:
    # ST-52: work that cannot be cancelled, as a thread, would else hold the process for good
    before, seen = getsignal(SIGTERM), list[Signals]()
    stopped, cancelled = anyio.Event(), anyio.Event()

    async def work() -> None:
        os.kill(os.getpid(), SIGTERM)
        await stopped.wait()
        assert getsignal(SIGTERM) != before
        os.kill(os.getpid(), SIGINT)
        await cancelled.wait()
        assert getsignal(SIGTERM) == before

    def stop(signal: Signals) -> None:
        seen.append(signal)
        stopped.set()

    def cancel(signal: Signals) -> None:
        seen.append(signal)
        cancelled.set()

    with anyio.fail_after(60):
        await run_until_signalled(work, stop, cancel)
    assert seen == [SIGTERM, SIGINT]


async def test_when_one_fails_the_others_are_stopped_and_its_error_is_raised() -> None:
    job = Job()
    with anyio.fail_after(60):
        with pytest.raises(ValueError, match="broken"):
            await run_workers(job, Job(error=ValueError("broken"), after=job.began))
        assert job.stopped.is_set()
        late = Job(error=ValueError("two"))
        with pytest.raises(ExceptionGroup, match="2 workers failed") as failed:
            await run_workers(Job(error=ValueError("one"), after=late.began), late)
    assert len(failed.value.exceptions) == 2


async def test_a_worker_that_has_not_begun_when_another_fails_does_not_begin() -> None:
    worker = Worker(MemoryQueue(), CommandBus({Pay: print}))
    for order in ((0, 1), (1, 0)):
        both = (Failing(), worker)
        with anyio.fail_after(60), pytest.raises(ValueError, match="broken"):
            await run_workers(*[both[at] for at in order])
    assert worker.in_flight == 0


async def test_a_worker_that_was_not_begun_or_has_ended_is_not_stopped_and_runs_again() -> None:
    queue, job = MemoryQueue(), Job()
    workers = [Worker(queue, CommandBus({Pay: lambda pay: None}), max_messages=most) for most in (1, 2)]
    await queue.put(item(Pay()))
    with anyio.fail_after(60):
        with pytest.raises(ValueError, match="broken"):
            await run_workers(Failing(), workers[1])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_workers, told := Told(workers[0]), job)
            await job.began.wait()
            await told.ended.wait()
            os.kill(os.getpid(), SIGTERM)
        await queue.put(*[item(Pay()) for _ in range(3)])
        for worker in workers:
            await worker.run()
    assert (await queue.stats()).ready == 0


async def test_it_ends_when_all_have_ended_and_at_once_without_any() -> None:
    queue = MemoryQueue()
    await queue.put(*[item(Pay(n)) for n in range(4)])
    bus = CommandBus({Pay: lambda pay: None})
    around = Bus([bus])
    with anyio.fail_after(60):
        await run_workers(*[Worker(queue, each, max_messages=2) for each in (bus, around)])
        await run_workers()
    assert (await queue.stats()).ready == 0
    assert not around.is_open


async def test_workers_on_one_bus_find_it_open_until_the_last_has_ended() -> None:
    queue, seen = MemoryQueue(), list[bool]()

    def pay(pay: Pay) -> None:
        seen.append(bus.is_open)

    bus = CommandBus([pay])
    await queue.put(*[item(Pay(n)) for n in range(4)])
    with anyio.fail_after(60):
        await run_workers(*[Worker(queue, bus, max_messages=most) for most in (1, 3)])
    assert seen == [True] * 4


@pytest.mark.parametrize(
    "wrong", [[Job()], (Job(), Job()), Job, None, Bus([])], ids=["list", "tuple", "class", "none", "bus"]
)
async def test_anything_that_does_not_run_and_stop_is_refused_before_others_run(wrong: Any) -> None:
    # ST-68
    job = Job()
    with pytest.raises(InvalidOption, match=r"workers=.*: give workers one by one: run_workers\(a, b\)"):
        await run_workers(job, wrong)
    assert not job.began.is_set()
