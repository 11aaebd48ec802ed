"""The conformance suite for suspects: items that were claimed and never settled."""

from __future__ import annotations

import anyio

from modd.ports.items import Claim, Item
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite
from modd.testing.conformance.waiting import LONG, WaitSuite


class QueueSuspectSuite(ClaimSuite[Queue], WaitSuite[Queue]):
    """The promises about suspects, one of which may have ended its process."""

    async def test_suspects_are_claimed_one_at_a_time_after_all_others(self) -> None:
        """The one that was claimed last is the first, as the likeliest culprit; the claim says that it is a suspect."""
        async with self.create() as queue:
            await self.suspect(queue, b"1", b"2")
            await queue.put(b"3", b"4")
            assert [(each.body, each.suspect) for each in await self.claim(queue)] == [(b"3", False), (b"4", False)]
            for body in (b"2", b"1"):
                [claim] = await self.claim(queue)
                assert (claim.body, claim.suspect) == (body, True)
            assert await self.claim(queue) == []

    async def test_who_wants_no_suspects_gets_none(self) -> None:
        """A caller that works on another item leaves them where they are."""
        async with self.create() as queue:
            await self.suspect(queue, b"1")
            assert await queue.claim(100, 100 * self.tick, suspects="none") == []
            await queue.put(b"2")
            assert [claim.body for claim in await queue.claim(100, 100 * self.tick, suspects="none")] == [b"2"]
            assert (await self.claim_one(queue)).body == b"1"

    async def test_suspects_first_offers_one_before_all_other_items(self) -> None:
        """Without a suspect, such a claim has the other items."""
        async with self.create() as queue:
            await self.suspect(queue, b"1")
            await queue.put(b"2", b"3")
            for bodies in ([b"1"], [b"2", b"3"], []):
                claims = await queue.claim(100, 100 * self.tick, suspects="first")
                assert [claim.body for claim in claims] == bodies

    async def test_a_claim_in_company_that_was_never_settled_does_not_count(self) -> None:
        """Another item may have ended the process. A claim of a suspect counts: nothing else was worked on."""
        async with self.create() as queue:
            await self.suspect(queue, b"1")
            attempts = []
            for _ in range(3):
                attempts.append((await self.claim_one(queue, lease=2)).attempt)
                await self.ticks(4)
            assert attempts == [1, 2, 3]

    async def test_a_released_suspect_stays_one_at_no_cost(self) -> None:
        """A release restores the state before the claim: the attempt does not count, and nothing can cancel it."""
        async with self.create() as queue:
            [first] = await self.suspect(queue, b"1")
            for _ in range(2):
                claim = await self.claim_one(queue)
                assert (claim.attempt, claim.suspect) == (1, True)
                await queue.release(claim)
            assert await queue.cancel(first.id) == []
            assert (await queue.stats()).suspects == 1

    async def test_a_settled_suspect_is_none_any_more(self) -> None:
        """A retry ends the suspicion, and counts as always."""
        async with self.create() as queue:
            await self.suspect(queue, b"1")
            await queue.retry(await self.claim_one(queue))
            await queue.put(b"2")
            claims = await self.claim(queue)
            assert [(each.body, each.attempt, each.suspect) for each in claims] == [(b"1", 2, False), (b"2", 1, False)]

    async def test_a_late_settlement_ends_the_suspicion(self) -> None:
        """As long as no second worker has claimed the item: a lease that is renewed too late, a release, an ack."""
        async with self.create() as queue:
            extended, released, acked = await self.suspect(queue, b"1", b"2", b"3")
            await queue.extend(extended, 100 * self.tick)
            await queue.release(released)
            await queue.ack(acked)
            claim = await self.claim_one(queue)
            assert (claim.body, claim.attempt, claim.suspect) == (b"2", 1, False)
            assert await self.claim(queue) == []

    async def test_a_suspect_owns_its_key(self) -> None:
        """No other item of the key is claimed before it is settled."""
        async with self.create() as queue:
            await queue.put(Item(b"1", key="k"), Item(b"2", key="k"))
            await self.claim_one(queue, lease=2)
            await self.ticks(4)
            assert await queue.claim(100, 100 * self.tick, suspects="none") == []
            claim = await self.claim_one(queue)
            assert claim.body == b"1"
            await queue.ack(claim)
            claim = await self.claim_one(queue)
            assert (claim.body, claim.suspect) == (b"2", False)

    async def test_a_wait_for_others_does_not_end_for_a_suspect(self) -> None:
        """It ends after its time; a wait with suspects ends at once. Skipped without ``wait``."""
        async with self.create() as queue:
            wait = self._wait_of(queue)
            await self.suspect(queue, b"1")
            assert await queue.claim(1, self.tick, suspects="none") == []
            begun = anyio.current_time()
            await wait(0.05, suspects=False)
            assert anyio.current_time() - begun > 0.04
            with anyio.fail_after(LONG):
                await wait(3 * LONG)

    async def suspect(self, queue: Queue, *bodies: bytes) -> list[Claim]:
        """Put items and claim them, so that they are suspects; return these claims."""
        await queue.put(*bodies)
        claims = await self.claim(queue, lease=2)
        await self.ticks(4)
        assert (await queue.stats()).suspects == len(bodies)
        return claims
