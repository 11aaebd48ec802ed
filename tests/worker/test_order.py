"""The order in which a worker handles what becomes due again and again, and what is new."""

from __future__ import annotations

import anyio
import pytest

from modd.cqrs import CommandBus, RetryLater
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Pay, Ship, at_work, item

pytestmark = pytest.mark.anyio

MANY = 30


@pytest.mark.costly
@pytest.mark.parametrize("delay", [0, 0.05, 1])
async def test_messages_that_always_fail_delay_a_fresh_one_by_no_more_than_their_share(delay: float) -> None:
    # DR-40
    tries, shipped = 0, anyio.Event()

    async def fail(pay: Pay) -> None:
        nonlocal tries
        tries += 1
        await anyio.sleep(0.1)
        raise RetryLater(delay)

    async def ship(ship: Ship) -> None:
        shipped.set()

    queue = MemoryQueue()
    await queue.put(*[item(Pay()) for _ in range(MANY)])
    async with at_work(Worker(queue, CommandBus({Pay: fail, Ship: ship}), concurrency=4, attempts=10_000)):
        await anyio.sleep(3)
        before = tries
        await queue.put(item(Ship()))
        with anyio.fail_after(60):
            await shipped.wait()
    assert tries - before <= MANY + 4
