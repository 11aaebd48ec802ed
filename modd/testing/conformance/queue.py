"""The conformance suite for queues."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.items import Item, Stats
from modd.ports.queue import Queue
from modd.testing.conformance.queue_ids import QueueIdSuite
from modd.testing.conformance.queue_keys import QueueKeySuite
from modd.testing.conformance.queue_leases import QueueLeaseSuite
from modd.testing.conformance.queue_operator import QueueOperatorSuite
from modd.testing.conformance.queue_order import QueueOrderSuite
from modd.testing.conformance.queue_subscriptions import QueueSubscriptionSuite
from modd.testing.conformance.queue_suspects import QueueSuspectSuite
from modd.testing.conformance.waiting import WaitSuite


class QueueConformance(
    QueueIdSuite,
    QueueKeySuite,
    QueueLeaseSuite,
    QueueOperatorSuite,
    QueueOrderSuite,
    QueueSubscriptionSuite,
    QueueSuspectSuite,
    WaitSuite[Queue],
):
    """The promises of `modd.ports.Queue`; the base classes have those about ids, keys, leases, order and so on."""

    async def test_an_empty_queue_gives_nothing(self) -> None:
        """A claim does not wait; to acknowledge no claims is no error."""
        async with self.create() as queue:
            assert await self.claim(queue) == []
            assert await queue.put() == []
            await queue.ack()
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=0, dead=0)

    async def test_what_is_claimed_is_what_was_put(self) -> None:
        """A claim has the bytes and all values of its item."""
        async with self.create() as queue:
            body, headers = bytes(range(256)), {"type": "a", "ü": ""}
            results = await queue.put(b"", Item(body, headers=headers, key="k", id="mine"))
            first, second = await self.claim(queue)
            assert (first.id, first.body, first.headers, first.key, first.attempt) == (results[0].id, b"", {}, None, 1)
            assert (second.id, second.body, second.headers, second.key) == ("mine", body, headers, "k")
            assert results[1].id == "mine"

    async def test_an_item_has_no_tags(self) -> None:
        """With an item that has tags, which are for events, no item is added."""
        async with self.create() as queue:
            with pytest.raises(InvalidOption):
                await queue.put(b"1", Item(b"2", tags=("course:1",)))
            assert await self.bodies(queue) == []

    async def test_headers_are_copies(self) -> None:
        """A later change of put or claimed headers does not change the item."""
        async with self.create() as queue:
            headers = {"a": "1"}
            await queue.put(Item(b"", headers=headers))
            headers["a"] = "2"
            claim = await self.claim_one(queue)
            assert claim.headers == {"a": "1"}
            claim.headers["a"] = "3"
            await queue.retry(claim)
            assert (await self.claim_one(queue)).headers == {"a": "1"}

    async def test_items_are_claimed_in_the_order_in_which_they_were_put(self) -> None:
        """A claim has items up to the limit, the next claim has the rest, and no item is claimed twice."""
        async with self.create() as queue:
            await queue.put(b"1", b"2")
            await queue.put(b"3", b"4", b"5")
            assert [claim.body for claim in await self.claim(queue, 3)] == [b"1", b"2", b"3"]
            assert await self.bodies(queue) == [b"4", b"5"]
            assert await self.bodies(queue) == []

    async def test_of_several_that_claim_at_once_each_gets_others(self) -> None:
        """Concurrent claims have different items."""
        claimed: list[bytes] = []

        async def claim() -> None:
            claimed.extend([claim.body for claim in await self.claim(queue, 3)])

        async with self.create() as queue:
            await queue.put(*[b"%d" % number for number in range(10)])
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(claim)
            assert sorted(claimed) == [b"%d" % number for number in range(10)]

    async def test_a_delayed_item_is_not_claimed_before_it_is_due(self) -> None:
        """A delayed item blocks no other, and its place is the time at which it is due."""
        async with self.create() as queue:
            await queue.put(Item(b"1", delay=4 * self.tick), b"2")
            assert await self.bodies(queue) == [b"2"]
            await self.ticks(2)
            assert await self.bodies(queue) == []
            await queue.put(b"3")
            await self.ticks(4)
            await queue.put(b"4")
            assert await self.bodies(queue) == [b"3", b"1", b"4"]

    async def test_stats_count_each_item_once(self) -> None:
        """A due item is ready even if its key is owned; ended delays and leases do not count."""
        async with self.create() as queue:
            await queue.put(b"dead", Item(b"a", key="k"), Item(b"b", key="k"))
            await queue.put(Item(b"soon", delay=4 * self.tick), Item(b"late", delay=100 * self.tick))
            claim, _ = await self.claim(queue, lease=2)
            await queue.bury(claim, "no use")
            assert await queue.stats() == Stats(ready=1, delayed=2, leased=1, dead=1)
            await self.ticks(6)
            assert await queue.stats() == Stats(ready=3, delayed=1, leased=0, dead=1, suspects=1)

    async def test_options_that_cannot_work_are_errors(self) -> None:
        """A limit below 1, a lease that is not above 0 and a negative delay are `InvalidOption` and change nothing."""
        async with self.create() as queue:
            await queue.put(b"1")
            for limit, lease in ((0, 1), (-1, 1), (1, 0), (1, -1), (1, float("nan"))):
                with pytest.raises(InvalidOption):
                    await queue.claim(limit, lease)
            odd: Any = "some"
            with pytest.raises(InvalidOption, match="suspects='some': give one of: 'last', 'first', 'none'"):
                await queue.claim(1, 1, suspects=odd)
            claim = await self.claim_one(queue)
            with pytest.raises(InvalidOption):
                await queue.extend(claim, 0)
            with pytest.raises(InvalidOption):
                await queue.retry(claim, -1)
            with pytest.raises(InvalidOption):
                await queue.dead(0)
            await queue.ack(claim)
