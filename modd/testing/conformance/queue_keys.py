"""The conformance suite for the keys of a queue."""

from __future__ import annotations

from modd.ports.items import Item
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite


class QueueKeySuite(ClaimSuite[Queue]):
    """The promises about keys: one item at a time, in order."""

    async def test_items_of_one_key_are_claimed_one_at_a_time_in_order(self) -> None:
        """The next item can be claimed when the item before it is acknowledged."""
        async with self.create() as queue:
            await queue.put(*[Item(b"%d" % number, key="k") for number in range(3)])
            for number in range(3):
                claim = await self.claim_one(queue)
                assert claim.body == b"%d" % number
                assert await self.bodies(queue) == []
                await queue.ack(claim)

    async def test_keys_do_not_hold_each_other(self) -> None:
        """Keys block neither other keys nor items without a key; an empty key is a key."""
        async with self.create() as queue:
            keys = ["a", "a", "b", None, "", None, "b", ""]
            await queue.put(*[Item(b"%d" % number, key=key) for number, key in enumerate(keys)])
            assert await self.bodies(queue) == [b"0", b"2", b"3", b"4", b"5"]

    async def test_a_retry_holds_its_key(self) -> None:
        """During its delay no item of the key can be claimed; then it is the first again."""
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
        """The item whose lease ended is the next of its key."""
        async with self.create() as queue:
            await queue.put(Item(b"0", key="k", delay=2 * self.tick), Item(b"1", key="k"), Item(b"2", key="k"))
            assert (await self.claim_one(queue, lease=2)).body == b"1"
            await self.ticks(4)
            assert await self.bodies(queue) == [b"1"]

    async def test_a_delay_of_a_put_does_not_hold_its_key(self) -> None:
        """Other items are claimed meanwhile; when it is due it waits for the current one and precedes later ones."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=4 * self.tick), Item(b"2", key="k"), Item(b"3", key="k"))
            claim = await self.claim_one(queue)
            assert claim.body == b"2"
            await self.ticks(6)
            assert await self.bodies(queue) == []
            await queue.ack(claim)
            assert await self.bodies(queue) == [b"1"]

    async def test_a_delayed_item_that_is_due_goes_before_one_that_was_put_later(self) -> None:
        """The order holds even if the key was free all the time."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=2 * self.tick), Item(b"2", key="k"))
            assert (await queue.stats()).ready == 1
            await self.ticks(4)
            assert await self.bodies(queue) == [b"1"]

    async def test_a_released_item_gives_its_key_back(self) -> None:
        """After a release of a first attempt an earlier item that has become due goes first."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=2 * self.tick), Item(b"2", key="k"))
            claim = await self.claim_one(queue)
            await self.ticks(4)
            await queue.release(claim)
            assert await self.bodies(queue) == [b"1"]

    async def test_an_item_that_was_tried_before_keeps_its_key_when_released(self) -> None:
        """A release restores the state before the claim: the item waits for its next attempt and owns its key."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k", delay=2 * self.tick), Item(b"2", key="k"))
            await queue.retry(await self.claim_one(queue))
            claim = await self.claim_one(queue)
            await self.ticks(4)
            await queue.release(claim)
            claim = await self.claim_one(queue)
            assert (claim.body, claim.attempt) == (b"2", 2)

    async def test_a_buried_item_frees_its_key(self) -> None:
        """The next item of the key can be claimed at once."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k"), Item(b"2", key="k"))
            await queue.bury(await self.claim_one(queue), "no use")
            assert await self.bodies(queue) == [b"2"]

    async def test_a_redriven_item_goes_behind_the_others_of_its_key(self) -> None:
        """A redriven item has the order of a new one."""
        async with self.create() as queue:
            await queue.put(*[Item(b"%d" % number, key="k", id=str(number)) for number in range(3)])
            await queue.bury(await self.claim_one(queue), "no use")
            await queue.redrive("0")
            for body in (b"1", b"2", b"0"):
                claim = await self.claim_one(queue)
                assert claim.body == body
                await queue.ack(claim)

    async def test_a_cancelled_item_does_not_hold_its_key(self) -> None:
        """The next item of the key takes its position."""
        async with self.create() as queue:
            await queue.put(*[Item(b"%d" % number, key="k", id=str(number)) for number in range(3)])
            assert await queue.cancel("0", "1") == ["0", "1"]
            assert await self.bodies(queue) == [b"2"]
