"""Leases, and stores that fail for a while."""

from __future__ import annotations

import anyio
import pytest

from modd.cqrs import CommandBus
from modd.ports import Claim, LeaseLost, Stats
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Pay, at_work, item, work_off
from tests.worker.flaky import Flaky, Slow

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


async def test_leases_are_renewed_for_as_long_as_a_handler_takes() -> None:
    # ST-38
    queue, slow = Flaky(extend=2), Slow()
    await queue.put(item(Pay()))
    async with at_work(Worker(queue, CommandBus({Pay: slow}), lease=30)):
        await anyio.sleep(99)
        assert await queue.claim(1, 30) == []
        await anyio.sleep(5)
    assert (slow.begun, slow.ended, await queue.stats()) == (1, 1, EMPTY)
    pauses = [later - at for at, later in zip(queue.at("extend"), queue.at("extend")[1:], strict=False)]
    assert max(pauses) < 20
    assert pauses[3:] == [10] * 6


async def test_a_handler_whose_lease_went_to_somebody_else_is_cancelled_and_nothing_is_settled() -> None:
    # ST-39
    queue, slow = Flaky(extend=11), Slow()
    await queue.put(item(Pay(1), id="p"))
    async with at_work(Worker(queue, CommandBus({Pay: slow}), lease=30, concurrency=1)):
        await anyio.sleep(31)
        [claim] = await queue.claim(1, 500)
        await anyio.sleep(20)
        assert (slow.cancelled, slow.ended) == (1, 0)
        slow.seconds = 1
        await queue.put(item(Pay(2)))
        await anyio.sleep(5)
        assert slow.ended == 1  # the slot goes on with the next
        await queue.ack(claim)


async def test_what_is_settled_too_late_is_left_to_who_has_it_now(caplog: pytest.LogCaptureFixture) -> None:
    queue, slow = Flaky(extend=1000), Slow(35)
    await queue.put(item(Pay(), id="p"))
    async with at_work(Worker(queue, CommandBus({Pay: slow}), lease=30, concurrency=1)):
        await anyio.sleep(31)
        [claim] = await queue.claim(1, 500)
        await anyio.sleep(5)
        assert slow.ended == 1
        assert "the lease of p ran out before it was settled" in caplog.text
        await queue.ack(claim)


async def test_an_ack_that_fails_is_tried_again_for_as_long_as_the_lease_lasts() -> None:
    queue, slow = Flaky(ack=4), Slow(0)
    await queue.put(item(Pay()))
    async with at_work(Worker(queue, CommandBus({Pay: slow}))):
        await anyio.sleep(20)
    assert (slow.begun, await queue.stats()) == (1, EMPTY)
    assert [round(at, 3) for at in queue.at("ack")] == [0, 0.1, 0.3, 0.7, 1.5]
    queue, slow = Flaky(ack=1000), Slow(0)
    await queue.put(item(Pay()))
    await work_off(Worker(queue, CommandBus({Pay: slow}), lease=30), 29)
    assert slow.begun == 1
    await anyio.sleep(100)
    await work_off(Worker(queue, CommandBus({Pay: slow}), lease=30, max_messages=1))
    assert (slow.begun, (await queue.stats()).leased) == (2, 1)


async def test_a_lease_that_is_lost_between_two_tries_to_settle_is_left() -> None:
    class Losing(Flaky):
        async def ack(self, *claims: Claim) -> None:
            await self._ask("ack")
            raise LeaseLost(claim.id for claim in claims)

    queue, slow = Losing(ack=1), Slow(0)
    await queue.put(item(Pay()))
    await work_off(Worker(queue, CommandBus({Pay: slow})), 10)
    assert len(queue.at("ack")) == 2


@pytest.mark.parametrize("what", ["claim", "wait"])
async def test_a_queue_that_fails_for_a_while_is_asked_again_after_growing_pauses(what: str) -> None:
    # ST-53
    queue, slow = Flaky(**{what: 12}), Slow(0)
    worker = Worker(queue, CommandBus({Pay: slow}), poll=1, clock=anyio.current_time)
    async with at_work(worker):
        await anyio.sleep(5)
        await queue.put(item(Pay()))
        await anyio.sleep(90)
        assert slow.ended == 1
    pauses = [later - at for at, later in zip(queue.at(what), queue.at(what)[1:], strict=False)][:11]
    assert max(pauses) < 7
    assert worker.last_polled is not None


async def test_one_queue_that_fails_holds_up_no_other() -> None:
    bad, good, slow = Flaky(claim=1000), MemoryQueue(), Slow(0)
    async with at_work(Worker([bad, good], CommandBus({Pay: slow}))):
        await anyio.sleep(60)
        begun = anyio.current_time()
        await good.put(item(Pay()))
        await anyio.wait_all_tasks_blocked()
        assert slow.ended == 1
        assert anyio.current_time() - begun < 0.2


async def test_a_worker_does_not_claim_what_it_is_working_on_and_renews_it_when_it_can() -> None:
    # DR-43
    queue, slow = Flaky(extend=1000), Slow()
    await queue.put(item(Pay()), item(Pay()))
    async with at_work(Worker(queue, CommandBus({Pay: slow}), lease=30)):
        await anyio.sleep(35)
        assert (await queue.stats()).suspects == 2
        await queue.put(item(Pay()))
        await anyio.sleep(5)
        assert slow.begun == 3
        queue.fails.clear()  # the store answers again
        await anyio.sleep(20)
        assert (slow.begun, await queue.stats()) == (3, Stats(ready=0, delayed=0, leased=3, dead=0))
        await anyio.sleep(90)
    assert (slow.begun, slow.ended, await queue.stats()) == (3, 3, EMPTY)
