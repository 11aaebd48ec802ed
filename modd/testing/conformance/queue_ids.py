"""The conformance suite for the ids of items in a queue."""

from __future__ import annotations

from modd.ports.items import Claim, Item, PutResult
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite

WAITING = ("ready", "delayed", "blocked", "released")


BEGUN = ("leased", "retried", "expired", "dead")


class QueueIdSuite(ClaimSuite[Queue]):
    """The promises about items with one id: which are dropped, and which are meant by it."""

    async def test_every_item_has_an_id_of_its_own(self) -> None:
        """Equal bodies are different items."""
        async with self.create() as queue:
            results = await queue.put(*[b"same"] * 10)
            assert len({result.id for result in results}) == 10
            assert not any(result.duplicate for result in results)
            assert [claim.id for claim in await self.claim(queue)] == [result.id for result in results]

    async def test_an_id_that_the_queue_has_chosen_never_comes_again(self) -> None:
        """Not even when its item was acknowledged, cancelled or discarded, and no time has passed."""
        async with self.create() as queue:
            ids: list[str] = []
            for _ in range(2):
                results = await queue.put(*[b""] * 10)
                await queue.ack(*await self.claim(queue, 8))
                await queue.bury(await self.claim_one(queue), "no use")
                ids += [result.id for result in results]
                assert await queue.discard(ids[-2]) == [ids[-2]]
                assert await queue.cancel(ids[-1]) == [ids[-1]]
            assert len(set(ids)) == 20

    async def test_a_known_id_is_not_put_twice_and_the_caller_is_told(self) -> None:
        """A duplicate is dropped and told, in one put or later, ready, claimed or dead."""
        async with self.create() as queue:
            new, duplicate = PutResult("a", False), PutResult("a", True)
            assert await queue.put(Item(b"1", id="a"), Item(b"2", id="a")) == [new, duplicate]
            claim = await self.claim_one(queue)
            assert claim.body == b"1"
            results = await queue.put(Item(b"3", id="a"), b"4")
            assert results == [duplicate, PutResult((await self.claim_one(queue)).id, False)]
            await queue.bury(claim, "no use")
            assert await queue.put(Item(b"5", id="a")) == [duplicate]
            assert await self.bodies(queue) == []

    async def test_an_id_that_the_queue_has_chosen_is_known_like_others(self) -> None:
        """It may come again, too, once its item has begun."""
        async with self.create() as queue:
            [result] = await queue.put(b"1")
            item = Item(b"2", id=result.id, unique="until-started")
            assert await queue.put(item) == [PutResult(result.id, True)]
            claim = await self.claim_one(queue)
            assert await queue.put(item, item) == [PutResult(result.id, False), PutResult(result.id, True)]
            await queue.bury(claim, "no use")
            assert await queue.cancel(result.id) == [result.id]
            assert await queue.redrive(result.id) == [result.id]
            assert await self.bodies(queue) == [b"1"]

    async def test_an_acked_id_is_known_no_more(self) -> None:
        """The id of an acknowledged item can be put again."""
        async with self.create() as queue:
            await queue.put(Item(b"1", id="a"))
            await queue.ack(await self.claim_one(queue))
            assert await queue.put(Item(b"2", id="a")) == [PutResult("a", False)]
            assert await self.bodies(queue) == [b"2"]

    async def test_an_item_that_is_unique_until_done_is_dropped_for_one_in_any_state(self) -> None:
        """That is the default."""
        async with self.create() as queue:
            await self._fill(queue)
            results = await queue.put(*[Item(b"", id=id) for id in (*WAITING, *BEGUN)])
            assert [result.duplicate for result in results] == [True] * 8

    async def test_an_item_that_is_unique_until_started_is_dropped_only_for_one_that_waits(self) -> None:
        """An item that was claimed, and not released, drops none; a second one in the same put is dropped."""
        async with self.create() as queue:
            await self._fill(queue)
            again = [Item(b"again", id=id, unique="until-started") for id in (*WAITING, *BEGUN)]
            results = await queue.put(*again, *again)
            assert [result.duplicate for result in results] == [True] * 4 + [False] * 4 + [True] * 8
            assert [result.id for result in results[4:8]] == [*BEGUN]
            results = await queue.put(*[Item(b"", id=id) for id in BEGUN])
            assert [result.duplicate for result in results] == [True] * 4

    async def test_a_claim_stands_for_its_own_item_among_those_of_one_id(self) -> None:
        """Each is extended, settled and retried by itself."""
        async with self.create() as queue:
            first = await self._begun(queue, b"1")
            second = await self._begun(queue, b"2")
            third = await self._begun(queue, b"3")
            await queue.extend(second, 100 * self.tick)
            await queue.ack(first)
            assert (await queue.stats()).leased == 2
            await queue.retry(third)
            claim = await self.claim_one(queue)
            assert (claim.id, claim.body, claim.attempt) == ("a", b"3", 2)
            await queue.ack(second, claim)
            assert await queue.put(Item(b"", id="a")) == [PutResult("a", False)]

    async def test_an_id_means_the_item_that_waits_to_who_cancels_and_the_dead_ones_to_an_operator(self) -> None:
        """Dead letters of one id are redriven and discarded together, and each is told."""
        async with self.create() as queue:
            for body in (b"1", b"2"):
                await queue.bury(await self._begun(queue, body), "no use")
            leased = await self._begun(queue, b"3")
            await queue.put(Item(b"4", id="a", unique="until-started"))
            assert await queue.cancel("a") == ["a"]
            assert [(dead.id, dead.body) for dead in await queue.dead()] == [("a", b"1"), ("a", b"2")]
            assert await queue.redrive("a") == ["a", "a"]
            claims = await self.claim(queue)
            assert [claim.body for claim in claims] == [b"1", b"2"]
            for claim in claims:
                await queue.bury(claim, "no use")
            assert await queue.discard("a") == ["a", "a"]
            await queue.ack(leased)
            assert await queue.put(Item(b"5", id="a")) == [PutResult("a", False)]

    async def test_dead_letters_of_one_id_go_back_in_their_order_in_the_queue(self) -> None:
        """Not in that of their burials; one that was redriven alone is behind the others from then on."""
        async with self.create() as queue:
            first, second = [await self._begun(queue, body) for body in (b"1", b"2")]
            await queue.bury(second, "no use")
            await queue.bury(first, "no use")
            assert await queue.redrive("a") == ["a", "a"]
            first, second = await self.claim(queue)
            assert [first.body, second.body] == [b"1", b"2"]
            await queue.bury(first, "no use")
            assert await queue.redrive("a") == ["a"]
            await queue.bury(await self.claim_one(queue), "no use")
            await queue.bury(second, "no use")
            await queue.redrive("a")
            assert [claim.body for claim in await self.claim(queue)] == [b"2", b"1"]

    async def _begun(self, queue: Queue, body: bytes) -> Claim:
        """Put an item under the id "a" and claim it."""
        await queue.put(Item(body, id="a", unique="until-started"))
        return await self.claim_one(queue)

    async def _fill(self, queue: Queue) -> None:
        """Put an item into each state of `WAITING` and `BEGUN`; its id is the name of the state."""
        await queue.put(*[Item(b"", id=id) for id in BEGUN])
        _, retried, expired, dead = await self.claim(queue)
        await queue.retry(retried, 100 * self.tick)
        await queue.extend(expired, 2 * self.tick)
        await queue.bury(dead, "no use")
        await queue.put(Item(b"", id="released"))
        await queue.release(await self.claim_one(queue))
        await queue.put(Item(b"", id="ready", key="k"), Item(b"", id="blocked", key="k"))
        await queue.put(Item(b"", id="delayed", delay=100 * self.tick))
        await self.ticks(4)
