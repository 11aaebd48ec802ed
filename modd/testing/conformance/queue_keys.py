"""What every queue must do about keys."""

from __future__ import annotations

from modd.ports.items import Item
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite


class QueueKeySuite(ClaimSuite[Queue]):
    """The promises about keys: one at a time, in order."""

    async def test_items_of_one_key_are_claimed_one_at_a_time_in_order(self) -> None:
        """The next is there when the one before is acked."""
        async with self.create() as queue:
            await queue.put(*[Item(b"%d" % number, key="k") for number in range(3)])
            for number in range(3):
                claim = await self.claim_one(queue)
                assert claim.body == b"%d" % number
                assert await self.bodies(queue) == []
                await queue.ack(claim)

    async def test_keys_do_not_hold_each_other(self) -> None:
        """Nor those without a key; an empty key is a key."""
        async with self.create() as queue:
            keys = ["a", "a", "b", None, "", None, "b", ""]
            await queue.put(*[Item(b"%d" % number, key=key) for number, key in enumerate(keys)])
            assert await self.bodies(queue) == [b"0", b"2", b"3", b"4", b"5"]

    async def test_a_retry_holds_its_key(self) -> None:
        """For its delay nothing of that key is claimed; then it is the first again."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k"), Item(b"2", key="k"))
            await queue.retry(await self.claim_one(queue), 4 * self.tick)
            await self.ticks(2)
            assert await self.bodies(queue) == []
            await self.ticks(4)
            claim = await self.claim_one(queue)
            assert (claim.body, claim.attempt) == (b"1", 2)
            assert await self.bodies(queue) == []

    async def test_a_lease_that_ended_holds_its_key(self) -> None:
        """The item itself is the next of its key to be claimed."""
        async with self.create() as queue:
            await queue.put(Item(b"0", key="k", delay=2 * self.tick), Item(b"1", key="k"), Item(b"2", key="k"))
            assert (await self.claim_one(queue, lease=2)).body == b"1"
            await self.ticks(4)
            assert await self.bodies(queue) == [b"1"]

    async def test_a_delay_of_a_put_does_not_hold_its_key(self) -> None:
        """Others are claimed meanwhile; when it is due it waits for the one that is, and goes before later ones."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=4 * self.tick), Item(b"2", key="k"), Item(b"3", key="k"))
            claim = await self.claim_one(queue)
            assert claim.body == b"2"
            await self.ticks(6)
            assert await self.bodies(queue) == []
            await queue.ack(claim)
            assert await self.bodies(queue) == [b"1"]

    async def test_a_delayed_item_that_is_due_goes_before_one_that_was_put_later(self) -> None:
        """Also where the key was free all the time."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=2 * self.tick), Item(b"2", key="k"))
            assert (await queue.stats()).ready == 1
            await self.ticks(4)
            assert await self.bodies(queue) == [b"1"]

    async def test_a_released_item_gives_its_key_back(self) -> None:
        """It is as if it had not been claimed: an earlier one that came due goes first."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=2 * self.tick), Item(b"2", key="k"))
            claim = await self.claim_one(queue)
            await self.ticks(4)
            await queue.release(claim)
            assert await self.bodies(queue) == [b"1"]

    async def test_an_item_that_was_tried_before_keeps_its_key_when_released(self) -> None:
        """It is as it was before this claim: waiting for its next attempt, before all others of its key."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=2 * self.tick), Item(b"2", key="k"))
            await queue.retry(await self.claim_one(queue))
            claim = await self.claim_one(queue)
            await self.ticks(4)
            await queue.release(claim)
            claim = await self.claim_one(queue)
            assert (claim.body, claim.attempt) == (b"2", 2)

    async def test_a_buried_item_frees_its_key(self) -> None:
        """The next is claimed at once."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k"), Item(b"2", key="k"))
            await queue.bury(await self.claim_one(queue), "no use")
            assert await self.bodies(queue) == [b"2"]

    async def test_a_redriven_item_goes_behind_the_others_of_its_key(self) -> None:
        """It is like one that was put now."""
        async with self.create() as queue:
            await queue.put(*[Item(b"%d" % number, key="k", id=str(number)) for number in range(3)])
            await queue.bury(await self.claim_one(queue), "no use")
            await queue.redrive("0")
            for body in (b"1", b"2", b"0"):
                claim = await self.claim_one(queue)
                assert claim.body == body
                await queue.ack(claim)

    async def test_a_cancelled_item_does_not_hold_its_key(self) -> None:
        """The next of the key takes its place."""
        async with self.create() as queue:
            await queue.put(*[Item(b"%d" % number, key="k", id=str(number)) for number in range(3)])
            assert await queue.cancel("0", "1") == ["0", "1"]
            assert await self.bodies(queue) == [b"2"]
