"""A stop at any moment, and the properties for health checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import Bus
from modd.cqrs import CommandBus
from modd.ports import Claim, Suspects
from modd.stores import MemoryInbox, MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Pay, Ship, at_work, item, work_off
from tests.worker.flaky import Slow

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def stopped(worker: Worker) -> AsyncIterator[None]:
    """A worker that runs for the block, and is stopped at its end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        yield
        worker.stop()


class Opened:
    """A component that takes its time to close."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.closed = seconds, False

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        await anyio.sleep(self.seconds)
        self.closed = True

    def __call__(self, ship: Ship) -> None:
        pass


async def test_a_stop_does_not_wait_for_a_queue_that_does_not_answer() -> None:
    # ST-50
    class Hanging(MemoryQueue):
        async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
            await anyio.sleep_forever()
            return []

    started = anyio.current_time()
    async with stopped(Worker(Hanging(), CommandBus({Pay: print}))):
        await anyio.sleep(5)
    assert anyio.current_time() - started == 5


async def test_what_is_claimed_after_the_stop_all_the_same_is_given_back() -> None:
    class Slowly(MemoryQueue):
        async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
            claims: list[Claim] = []
            with anyio.CancelScope(shield=True):
                await anyio.sleep(10)
                claims = await super().claim(limit, lease, suspects=suspects)
            return claims

    queue, slow = Slowly(), Slow(0)
    await queue.put(item(Pay(), id="p"), item(Pay()))
    async with stopped(Worker(queue, CommandBus({Pay: slow}))):
        await anyio.sleep(5)
    assert (slow.begun, (await queue.stats()).ready) == (0, 2)
    assert [claim.attempt for claim in await queue.claim(9, 30)] == [1, 1]


@pytest.mark.parametrize(("handling", "ends"), [(0, 5 + 10 + 1), (500, 5 + 10 + 1)])
async def test_a_bus_that_takes_too_long_to_close_does_not_hold_up_the_end(
    handling: float, ends: float, caplog: pytest.LogCaptureFixture
) -> None:
    # ST-50
    queue, opened, started = MemoryQueue(), Opened(1000), anyio.current_time()
    bus = Bus([CommandBus({Pay: Slow(handling)}), opened])
    await queue.put(item(Pay()))
    async with stopped(Worker(queue, bus, drain=10)):
        await anyio.sleep(5)
    assert (anyio.current_time() - started, opened.closed, bus.is_open) == (ends, False, False)
    assert "worker: closing its bus took too long and was cancelled" in caplog.messages


@pytest.mark.parametrize("method", ["claim", "wait"])
async def test_a_native_cancellation_is_not_lost_behind_an_error_of_a_queue(
    method: str, anyio_backend_name: str
) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("trio has no cancellation but that of scopes")

    async def fail(*args: object) -> None:
        try:
            await anyio.sleep(100)
        finally:
            raise OSError("in the clean-up")

    queue: Any = MemoryQueue()
    setattr(queue, method, fail)
    task = asyncio.ensure_future(Worker(queue, CommandBus({Pay: print}), poll=1000).run())
    await anyio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_bus_is_closed_to_its_end_when_there_is_time() -> None:
    opened = Opened(10.5)
    await Worker(MemoryQueue(), Bus([CommandBus({Pay: print}), opened]), max_age=5, drain=10).run()
    assert opened.closed


async def test_an_error_is_raised_though_the_bus_does_not_close() -> None:
    class Halt(BaseException):
        pass

    async def pay(pay: Pay) -> None:
        raise Halt

    queue, started = MemoryQueue(), anyio.current_time()
    await queue.put(item(Pay()))
    with pytest.raises(BaseExceptionGroup) as ended:
        await Worker(queue, Bus([CommandBus([pay]), Opened(1000)]), drain=10).run()
    assert ended.value.subgroup(Halt) is not None
    assert anyio.current_time() - started == 11


async def test_a_stop_before_it_runs_ends_the_next_run_and_no_more() -> None:
    # ST-50
    queue, slow = MemoryQueue(), Slow(0)
    await queue.put(item(Pay()))
    worker = Worker(queue, CommandBus({Pay: slow}))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        worker.stop()
    assert slow.begun == 0
    async with stopped(worker):
        await anyio.sleep(1)
    assert slow.begun == 1
    await queue.put(item(Pay()))
    await work_off(worker, 1)
    assert slow.begun == 2


async def test_a_second_stop_gives_no_more_time() -> None:
    queue, slow, started = MemoryQueue(), Slow(500), anyio.current_time()
    await queue.put(item(Pay()))
    worker = Worker(queue, CommandBus({Pay: slow}), drain=10)
    async with stopped(worker):
        await anyio.sleep(1)
        worker.stop()
        await anyio.sleep(5)
    assert anyio.current_time() - started == 11


async def test_while_it_has_no_room_for_more_or_lets_handlers_end_it_need_not_look() -> None:
    # ST-54
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    worker: Any = Worker(queue, CommandBus({Pay: Slow(30)}), concurrency=1, clock=anyio.current_time)
    async with at_work(worker):
        await anyio.sleep(20)
        assert worker.last_polled == anyio.current_time()
        worker.stop()
        await anyio.sleep(5)
        assert worker.last_polled == anyio.current_time()
    assert anyio.current_time() - worker.last_polled == 25
    with pytest.raises(AttributeError):
        worker.last_polled = 0.0


@pytest.mark.unmeasured
@pytest.mark.costly
async def test_the_inbox_tells_messages_of_different_queues_apart_by_their_places() -> None:
    # ST-48
    class Named(MemoryQueue):
        name = "orders"

    inbox, done = MemoryInbox(), list[Any]()
    queues = [MemoryQueue(), MemoryQueue(), Named(), Named()]
    for number, queue in enumerate(queues):
        await queue.put(item(Pay(number), id="import"))
    await work_off(Worker(queues, CommandBus({Pay: done.append}), inbox=inbox))
    assert sorted(pay.amount for pay in done) == [0, 1, 2, 3]
    for name in ("#1", "#2", "orders", "orders#4"):
        assert await inbox.has(f"{name}/commands/import")


@pytest.mark.unmeasured
@pytest.mark.costly
async def test_queues_and_buses_whose_names_contain_the_separator_have_entries_of_their_own_in_the_inbox() -> None:
    # DF-12
    class Named(MemoryQueue):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    inbox, done = MemoryInbox(), list[Any]()
    queues = [Named("a"), Named("a#3"), Named("a"), Named("a/b")]
    for number, queue in enumerate(queues):
        await queue.put(item(Pay(number), id="import"))
    await work_off(Worker(queues, CommandBus({Pay: done.append}, name="c/d"), inbox=inbox))
    assert sorted(pay.amount for pay in done) == [0, 1, 2, 3]
    for name in ("a", "a%233", "a#3", "a%2Fb"):
        assert await inbox.has(f"{name}/c%2Fd/import")
