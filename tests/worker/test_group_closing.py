"""Buses of a group of workers that do not open or close."""

from __future__ import annotations

import os
from signal import SIGTERM

import anyio
import pytest

from modd import Bus, Message
from modd.cqrs import CommandBus
from modd.stores import MemoryQueue
from modd.worker import Worker, run_workers
from tests.worker.desk import Pay
from tests.worker.jobs import Job

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: signals come when they come."""
    return str(request.param)


class Opened:
    """A component that fails to open, or does not close."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.closing = fails, anyio.Event()

    async def __aenter__(self) -> None:
        if self.fails:
            raise ValueError("does not open")

    async def __aexit__(self, *_: object) -> None:
        self.closing.set()
        await anyio.sleep_forever()

    def __call__(self, message: Message) -> None:
        pass


async def test_a_bus_that_does_not_open_is_an_error_and_nothing_runs() -> None:
    job = Job()
    with anyio.fail_after(60), pytest.raises(ValueError, match="does not open"):
        await run_workers(job, Worker(MemoryQueue(), Bus([CommandBus({Pay: print}), Opened(fails=True)], name="shut")))
    assert not job.began.is_set()


@pytest.mark.parametrize("again", [False, True])
async def test_a_bus_that_does_not_close_ends_with_the_drain_or_the_second_signal(again: bool) -> None:
    # ST-52
    opened, job = Opened(), Job()
    worker = Worker(MemoryQueue(), Bus([CommandBus({Pay: print}), opened]), drain=1000 if again else 0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_workers, worker, job)
            await job.began.wait()
            os.kill(os.getpid(), SIGTERM)
            await opened.closing.wait()
            if again:
                os.kill(os.getpid(), SIGTERM)
