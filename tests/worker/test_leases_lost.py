"""A lease that is lost at an awkward moment."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import CommandBus
from modd.ports import Claim, LeaseLost, Transaction
from modd.stores import MemoryQueue
from modd.worker import Worker
from modd.worker.wakeup import Wakeup
from tests.worker.desk import Desk, Pay, at_work, item, work_off

pytestmark = pytest.mark.anyio


async def test_a_lease_that_is_lost_before_the_commit_rolls_everything_back() -> None:
    # ST-39
    desk, taken = Desk(), list[Claim]()

    async def pay(command: Pay, tx: Transaction) -> None:
        await tx.execute("paid")
        await anyio.sleep(5)

    await desk.queue.put(item(Pay(), id="p"))
    worker = Worker(desk.queue, CommandBus([pay]), lease=3, concurrency=1)
    desk.queue.extend = hang  # type: ignore[method-assign]  # as a store that does not answer
    async with at_work(worker):
        await anyio.sleep(4)
        taken += await desk.queue.claim(1, 1000)
        await anyio.sleep(10)
    assert ([claim.id for claim in taken], desk.rows) == (["p"], [])
    assert (await desk.queue.stats()).leased == 1


async def hang(claim: Claim, lease: float) -> None:
    await anyio.sleep_forever()


async def test_a_leaselost_of_the_handlers_own_is_a_failure() -> None:
    queue = MemoryQueue()

    async def pay(command: Pay) -> None:
        raise LeaseLost(["mine"])

    await queue.put(item(Pay(), id="p"))
    await work_off(Worker(queue, CommandBus([pay]), attempts=1))
    [dead] = await queue.dead()
    assert dead.reason.startswith("LeaseLost: no lease on 'mine'")


async def test_what_is_settled_while_its_lease_is_renewed_is_done() -> None:
    class Slow(MemoryQueue):
        async def extend(self, claim: Claim, lease: float) -> None:
            await anyio.sleep(5)
            await super().extend(claim, lease)

    queue, done = Slow(), list[Any]()

    async def pay(command: Pay) -> None:
        await anyio.sleep(12 if command.amount == 1 else 1)
        done.append(command.amount)

    await queue.put(item(Pay(1)), item(Pay(2)))
    async with at_work(Worker(queue, CommandBus([pay]), concurrency=1)):
        await anyio.sleep(30)
    assert done == [1, 2]
    assert (await queue.stats()).leased == 0


async def test_a_handler_that_does_not_let_itself_be_cancelled_settles_nothing() -> None:
    queue, ended = MemoryQueue(), list[int]()

    async def pay(command: Pay) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(20)
        ended.append(1)

    await queue.put(item(Pay(), id="p"))
    async with at_work(Worker(queue, CommandBus([pay]), concurrency=1)):
        await anyio.sleep(1)
        [entry] = queue._state.places.items.values()
        entry.token = "somebody else's"
        await anyio.sleep(25)
        assert entry.token == "somebody else's"
    assert ended == [1]


async def test_being_woken_before_ends_the_next_wait() -> None:
    wakeup = Wakeup()
    for wait in (wakeup.sleep, lambda: wakeup.interrupt(anyio.sleep_forever)):
        wakeup.wake()
        await wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            wakeup.wake()
