"""The conformance suite for the leases of a queue."""

from __future__ import annotations

from functools import partial

import pytest

from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item, Stats
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite


class QueueLeaseSuite(ClaimSuite[Queue]):
    """The promises about claims and how they are settled."""

    async def test_a_lease_that_ends_makes_the_item_ready_again(self) -> None:
        """Until then it cannot be claimed, and each claim has a token of its own."""
        async with self.create() as queue:
            await queue.put(b"1", b"2")
            first = await self.claim_one(queue, lease=4)
            await self.ticks(2)
            assert await self.bodies(queue) == [b"2"]
            await self.ticks(4)
            second = await self.claim_one(queue)
            assert (second.id, second.body) == (first.id, b"1")
            assert first.token != second.token

    async def test_an_extended_lease_ends_later(self) -> None:
        """The time begins with the extension, whether it is longer or shorter than the rest of the old one."""
        async with self.create() as queue:
            await queue.put(b"1")
            claim = await self.claim_one(queue, lease=4)
            await self.ticks(2)
            await queue.extend(claim, 100 * self.tick)
            await self.ticks(4)
            assert await self.bodies(queue) == []
            await queue.extend(claim, 2 * self.tick)
            await self.ticks(4)
            assert await self.bodies(queue) == [b"1"]

    async def test_a_claim_is_good_until_somebody_else_claims_its_item(self) -> None:
        """After its lease a claim can still be extended and acknowledged."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k"), b"2", Item(b"3", key="k"))
            claims = await self.claim(queue, lease=2)
            await self.ticks(4)
            assert (await queue.stats()).ready == 3
            await queue.extend(claims[0], 100 * self.tick)
            await queue.ack(claims[1])
            assert await self.bodies(queue) == []

    async def test_a_claim_whose_item_went_to_somebody_else_is_lost(self) -> None:
        """A lost claim can be neither extended nor settled, and the new claim stays valid."""
        async with self.create() as queue:
            await queue.put(Item(b"1", id="a"))
            lost = await self.claim_one(queue, lease=2)
            await self.ticks(4)
            claim = await self.claim_one(queue)
            await self.check_lost(queue, lost)
            await queue.ack(claim)

    async def test_a_claim_is_settled_once(self) -> None:
        """To settle a claim twice is `LeaseLost`, whichever method was first."""
        async with self.create() as queue:
            await queue.put(b"0", b"1", b"2", b"3")
            acked, retried, released, buried = await self.claim(queue)
            await queue.ack(acked)
            await queue.retry(retried)
            await queue.release(released)
            await queue.bury(buried, "no use")
            for claim in (acked, retried, released, buried):
                await self.check_lost(queue, claim)
            assert await queue.stats() == Stats(ready=2, delayed=0, leased=0, dead=1)

    async def test_an_acked_item_is_done(self) -> None:
        """An acknowledged item is not claimed again."""
        async with self.create() as queue:
            await queue.put(b"1", b"2", b"3")
            first, second, _ = await self.claim(queue, lease=2)
            await queue.ack(first, second)
            await self.ticks(4)
            assert await self.bodies(queue) == [b"3"]

    async def test_several_are_acked_or_none(self) -> None:
        """A lost claim leaves all items as they were; the error has the lost ones only."""
        async with self.create() as queue:
            await queue.put(Item(b"1", id="a"), Item(b"2", id="b"))
            first, second = await self.claim(queue)
            await queue.retry(second)
            again = await self.claim_one(queue)
            with pytest.raises(LeaseLost) as lost:
                await queue.ack(first, second, again)
            assert lost.value.ids == ("b",)
            await queue.ack(first, again, first)
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=0, dead=0)

    async def test_a_retried_item_comes_again_after_its_delay(self) -> None:
        """Without a delay it can be claimed at once; its attempts count."""
        async with self.create() as queue:
            await queue.put(b"1")
            await queue.retry(await self.claim_one(queue))
            claim = await self.claim_one(queue)
            assert (claim.body, claim.attempt) == (b"1", 2)
            await queue.retry(claim, 4 * self.tick)
            await queue.put(b"2")
            await self.ticks(2)
            assert await queue.stats() == Stats(ready=1, delayed=1, leased=0, dead=0)
            await self.ticks(4)
            assert [(claim.body, claim.attempt) for claim in await self.claim(queue)] == [(b"2", 1), (b"1", 3)]

    async def test_a_released_item_is_as_if_it_had_not_been_claimed(self) -> None:
        """A released item is ready at once, and the attempt does not count."""
        async with self.create() as queue:
            await queue.put(b"1")
            await queue.release(await self.claim_one(queue))
            claim = await self.claim_one(queue)
            assert claim.attempt == 1
            await queue.retry(claim)
            await queue.release(await self.claim_one(queue))
            assert (await self.claim_one(queue)).attempt == 2

    async def check_lost(self, queue: Queue, claim: Claim) -> None:
        """Check that every method with a claim raises `LeaseLost` with the id of its item."""
        calls = (
            partial(queue.extend, claim, self.tick),
            partial(queue.ack, claim),
            partial(queue.retry, claim),
            partial(queue.release, claim),
            partial(queue.bury, claim, "no use"),
        )
        for call in calls:
            with pytest.raises(LeaseLost) as lost:
                await call()
            assert lost.value.ids == (claim.id,)
