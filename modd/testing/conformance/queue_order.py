"""The conformance suite for the order in which a queue is claimed."""

from __future__ import annotations

from modd.ports.items import Item
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite


class QueueOrderSuite(ClaimSuite[Queue]):
    """The promises about the order of items that became due at different times."""

    async def test_a_retry_goes_behind_what_was_put_before_it_is_due(self) -> None:
        """The place of a retried item is the end of its delay, so that items that always fail delay no others."""
        async with self.create() as queue:
            await queue.put(b"fails")
            await queue.put(b"1")
            await self.ticks(1)
            await queue.retry(await self.claim_one(queue))
            await self.ticks(1)
            await queue.put(b"2")
            for body in (b"1", b"fails", b"2"):
                claim = await self.claim_one(queue)
                assert claim.body == body
                await queue.ack(claim)

    async def test_a_retry_with_a_delay_goes_behind_what_was_put_meanwhile(self) -> None:
        """Also if nothing was claimed at the end of the delay."""
        async with self.create() as queue:
            await self._put_around_a_retry(queue)
            assert await self.bodies(queue) == [b"1", b"fails", b"2"]

    async def test_what_came_due_is_claimed_in_the_order_of_these_times(self) -> None:
        """The order in which items were put decides only between items that became due at one time."""
        async with self.create() as queue:
            late, soon = 4 * self.tick, 2 * self.tick
            await queue.put(Item(b"4", delay=late), Item(b"2", delay=soon), Item(b"3", delay=soon), b"1")
            await self.ticks(6)
            assert await self.bodies(queue) == [b"1", b"2", b"3", b"4"]

    async def test_a_released_item_has_its_old_place(self) -> None:
        """A release restores the order before the claim, that of a retry, too."""
        async with self.create() as queue:
            await self._put_around_a_retry(queue)
            for claim in await self.claim(queue):
                await queue.release(claim)
            assert await self.bodies(queue) == [b"1", b"fails", b"2"]

    async def test_the_next_of_a_key_has_its_own_place(self) -> None:
        """Within a key the order is that of the puts; an item that waited for its key precedes what was put later."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k"), Item(b"2", key="k"))
            claim = await self.claim_one(queue)
            await self.ticks(1)
            await queue.put(b"3")
            await queue.ack(claim)
            assert await self.bodies(queue) == [b"2", b"3"]

    async def _put_around_a_retry(self, queue: Queue) -> None:
        """Put an item while the retry of another one is delayed, and an item after it came due."""
        await queue.put(b"fails")
        await queue.retry(await self.claim_one(queue), 2 * self.tick)
        await queue.put(b"1")
        await self.ticks(4)
        await queue.put(b"2")
