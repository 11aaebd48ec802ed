"""Workers of a process, and the signals that end it."""

from __future__ import annotations

import os
from signal import SIGINT, SIGTERM, getsignal

import anyio
import pytest

from modd import Bus
from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import Worker, run_workers
from tests.worker.desk import Pay, item

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: signals come when they come."""
    return str(request.param)


class Failing:
    """Fails before anything else has begun."""

    async def run(self) -> None:
        raise ValueError("broken")

    def stop(self) -> None:
        pass


class Job:
    """Something with run() and stop()."""

    def __init__(self, *, obeys: bool = True, error: Exception | None = None, after: anyio.Event | None = None) -> None:
        self.began, self.stopped, self.cancelled = anyio.Event(), anyio.Event(), False
        self.obeys, self.error, self.after = obeys, error, after

    async def run(self) -> None:
        self.began.set()
        if self.error is not None:
            await (self.after or self.stopped).wait()
            raise self.error
        try:
            await self.stopped.wait()
            if not self.obeys:
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise

    def stop(self) -> None:
        self.stopped.set()


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT])
async def test_the_first_signal_stops_all(signal: int) -> None:
    # ST-52
    jobs = [Job(), Job()]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_workers, *jobs)
            await jobs[1].began.wait()
            os.kill(os.getpid(), signal)
    assert [job.cancelled for job in jobs] == [False, False]


async def test_the_second_signal_cancels() -> None:
    # ST-52
    before = getsignal(SIGTERM)
    stubborn, job = Job(obeys=False), Job()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_workers, stubborn, job)
            await stubborn.began.wait()
            os.kill(os.getpid(), SIGTERM)
            await stubborn.stopped.wait()
            os.kill(os.getpid(), SIGINT)
    assert (stubborn.cancelled, job.cancelled) == (True, False)
    assert getsignal(SIGTERM) == before


async def test_when_one_fails_the_others_are_stopped_and_its_error_is_raised() -> None:
    job = Job()
    with anyio.fail_after(10):
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
        with anyio.fail_after(10), pytest.raises(ValueError, match="broken"):
            await run_workers(*[both[at] for at in order])
    assert worker.running == 0


async def test_it_ends_when_all_have_ended_and_at_once_without_any() -> None:
    queue = MemoryQueue()
    await queue.put(*[item(Pay(n)) for n in range(4)])
    bus = CommandBus({Pay: lambda pay: None})
    around = Bus([bus])
    with anyio.fail_after(10):
        await run_workers(*[Worker(queue, each, max_messages=2) for each in (bus, around)])
        await run_workers()
    assert (await queue.stats()).ready == 0
    assert around._opened is None


async def test_workers_on_one_bus_find_it_open_until_the_last_has_ended() -> None:
    queue, seen = MemoryQueue(), list[bool]()

    def pay(pay: Pay) -> None:
        seen.append(bus._opened is not None)

    bus = CommandBus([pay])
    await queue.put(*[item(Pay(n)) for n in range(4)])
    with anyio.fail_after(10):
        await run_workers(*[Worker(queue, bus, max_messages=most) for most in (1, 3)])
    assert seen == [True] * 4
