"""The conformance suite for the operator of a queue: cancel items, and inspect, redrive and discard dead letters."""

from __future__ import annotations

from modd.ports.items import DeadLetter, Item
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite


class QueueOperatorSuite(ClaimSuite[Queue]):
    """The promises about cancelled items and dead letters."""

    async def test_what_has_not_been_claimed_can_be_cancelled(self) -> None:
        """Ready and delayed items; each cancelled id is returned once and can be put again."""
        async with self.create() as queue:
            await queue.put(Item(b"1", id="a"), Item(b"2", id="b", delay=2 * self.tick), Item(b"3", id="c"))
            assert await queue.cancel() == []
            assert await queue.cancel("b", "none", "a", "b") == ["b", "a"]
            await self.ticks(4)
            await queue.put(Item(b"4", id="a"))
            assert await self.bodies(queue) == [b"3", b"4"]

    async def test_what_has_been_claimed_cannot_be_cancelled(self) -> None:
        """Not an item with an ended lease, one that waits for a retry, or a dead one; a released one can."""
        async with self.create() as queue:
            await queue.put(*[Item(b"", id=name) for name in ("over", "leased", "retried", "dead", "released")])
            await self.claim_one(queue, lease=2)
            _, retried, dead, released = await self.claim(queue)
            await queue.retry(retried, 100 * self.tick)
            await queue.bury(dead, "no use")
            await queue.release(released)
            await self.ticks(4)
            assert await queue.cancel("over", "leased", "retried", "dead", "released") == ["released"]

    async def test_buried_items_are_there_to_be_looked_at(self) -> None:
        """Dead letters have all their values, come in the order of their burial up to a limit, and are not claimed."""
        async with self.create() as queue:
            await queue.put(Item(b"1", {"type": "a"}, id="a"), Item(b"2", id="b"))
            await queue.retry(await self.claim_one(queue))
            first, second = sorted(await self.claim(queue, lease=2), key=lambda claim: claim.body)
            await queue.bury(second, "not two")
            await queue.bury(first, "")
            await self.ticks(4)
            buried = [DeadLetter("b", b"2", {}, "not two", 1), DeadLetter("a", b"1", {"type": "a"}, "", 2)]
            assert await queue.dead() == buried
            assert await queue.dead(1) == buried[:1]
            assert await self.bodies(queue) == []

    async def test_a_redriven_item_begins_anew(self) -> None:
        """At the end of the queue and without attempts, so it can be cancelled; only dead letters are redriven."""
        async with self.create() as queue:
            await self.bury(queue, "a", "b")
            await queue.put(Item(b"", id="c"))
            assert await queue.redrive() == []
            assert await queue.redrive("b", "c", "none", "a", "b") == ["b", "a"]
            assert await queue.dead() == []
            assert await queue.cancel("a") == ["a"]
            assert [(claim.id, claim.attempt) for claim in await self.claim(queue)] == [("c", 1), ("b", 1)]

    async def test_a_discarded_item_is_gone(self) -> None:
        """Only dead letters are discarded, and their ids can be put again."""
        async with self.create() as queue:
            await self.bury(queue, "a", "b")
            await queue.put(Item(b"", id="c"))
            assert await queue.discard() == []
            assert await queue.discard("c", "none", "a", "a") == ["a"]
            assert [dead.id for dead in await queue.dead()] == ["b"]
            await queue.put(Item(b"", id="a"))
            assert [claim.id for claim in await self.claim(queue)] == ["c", "a"]

    async def bury(self, queue: Queue, *ids: str) -> None:
        """Put items with these ids and bury them."""
        await queue.put(*[Item(b"", id=name) for name in ids])
        for claim in await self.claim(queue):
            await queue.bury(claim, "no use")
