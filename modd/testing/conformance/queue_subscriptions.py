"""The conformance suite for the handlers of a queue: announcements, the fan-out of events, and items that were left."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modd.errors import InvalidOption
from modd.ports.errors import LeaseLost
from modd.ports.items import HANDLER, Claim, Item, Stats, Subscription
from modd.ports.queue import Queue
from modd.testing.conformance.base import ClaimSuite

BOOK, MAIL = Subscription("events", "Paid", "book"), Subscription("events", "Paid", "mail")


def create_items(handlers: Sequence[Subscription]) -> list[Item]:
    """Return an item for each handler."""
    return [Item(b"", {HANDLER: each.handler}, id=f"{each.bus}.{each.type}.{each.handler}") for each in handlers]


class QueueSubscriptionSuite(ClaimSuite[Queue]):
    """The promises about announced handlers, and about items that are left to workers that know them."""

    async def test_announced_handlers_are_kept_with_the_time_of_their_last_announcement(self) -> None:
        """Each once, sorted by type, bus and name; one that was not seen for the retention is forgotten."""
        async with self.create() as queue:
            assert await queue.subscriptions() == []
            other = Subscription("audit", "Cancelled", "mail")
            await queue.announce(MAIL, BOOK, other, BOOK, retention=100 * self.tick)
            first = await queue.subscriptions()
            assert [(each.type, each.bus, each.handler) for each in first] == [
                ("Cancelled", "audit", "mail"),
                ("Paid", "events", "book"),
                ("Paid", "events", "mail"),
            ]
            await self.ticks(10)
            await queue.announce(BOOK, retention=100 * self.tick)
            [_, book, mail] = await queue.subscriptions()
            assert book.seen - mail.seen == pytest.approx(10 * self.tick, abs=5 * self.tick)
            await queue.announce(retention=5 * self.tick)
            assert [each.handler for each in await queue.subscriptions()] == ["book"]

    async def test_an_event_is_replaced_with_items_for_the_announced_handlers_of_its_types(self) -> None:
        """The items are put and the claim is acknowledged at once; an event without handlers is acknowledged."""
        async with self.create() as queue:
            await queue.announce(BOOK, MAIL, Subscription("events", "Cancelled", "mail"), retention=100 * self.tick)
            await queue.put(b"1", b"2")
            first, second = await self.claim(queue)
            assert await queue.fan_out(first, ["Paid", "none"], create_items) == 2
            assert await queue.fan_out(second, ["none"], create_items) == 0
            assert {claim.id for claim in await self.claim(queue)} == {"events.Paid.book", "events.Paid.mail"}
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=2, dead=0)

    async def test_a_fan_out_that_is_refused_fails_or_comes_late_changes_nothing(self) -> None:
        """If its function returns None or raises, the claim is as it was; a lost claim puts nothing."""

        def fail(handlers: Sequence[Subscription]) -> list[Item]:
            raise ValueError("no")

        async with self.create() as queue:
            await queue.announce(BOOK, retention=100 * self.tick)
            await queue.put(b"1")
            claim = await self.claim_one(queue)
            assert await queue.fan_out(claim, ["Paid"], lambda handlers: None) is None
            with pytest.raises(ValueError, match="no"):
                await queue.fan_out(claim, ["Paid"], fail)
            await queue.release(claim)
            again = await self.claim_one(queue)
            with pytest.raises(LeaseLost):
                await queue.fan_out(claim, ["Paid"], create_items)
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=1, dead=0)
            await queue.ack(again)

    async def test_a_left_item_is_claimed_by_its_name_alone_and_without_an_attempt(self) -> None:
        """Among those of its names in the order in which they were put; `stats` counts it as left."""
        async with self.create() as queue:
            await queue.put(Item(b"1", {"a": "1"}, id="1"), b"2", b"3", b"4")
            for claim, name in zip(await self.claim(queue), ("a", "b", "a", "c"), strict=True):
                assert await queue.leave(claim, name, 100 * self.tick)
                with pytest.raises(LeaseLost):
                    await queue.ack(claim)
                with pytest.raises(LeaseLost):
                    await queue.leave(claim, name, 100 * self.tick)
            assert await self.claim(queue) == []
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=0, dead=0, left=4)
            assert await self.claim_left(queue, "none") == []
            [first] = await queue.claim_left(["a"], 1, 100 * self.tick)
            assert (first.id, first.body, first.headers, first.attempt) == ("1", b"1", {"a": "1"}, 1)
            assert [claim.body for claim in await self.claim_left(queue, "a", "b", "none")] == [b"2", b"3"]
            assert await self.claim_left(queue, "a", "b") == []
            await queue.ack(first)
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=2, dead=0, left=1)

    async def test_an_item_is_left_for_the_retention_and_then_no_more(self) -> None:
        """Then it is ready, and cannot be left again; if it was claimed by its name before, the time begins anew."""
        async with self.create() as queue:
            await queue.put(Item(b"", id="1"))
            assert not await queue.leave(await self.claim_one(queue, lease=1), "a", 0)
            await self.ticks(2)
            assert await queue.leave(await self.claim_one(queue), "a", 10 * self.tick)
            await self.ticks(6)
            [claim] = await self.claim_left(queue, "a")
            assert await queue.leave(claim, "a", 10 * self.tick)
            await self.ticks(6)
            assert await self.claim(queue) == []
            await self.ticks(6)
            claim = await self.claim_one(queue)
            assert await self.claim_left(queue, "a") == []
            assert not await queue.leave(claim, "a", 10 * self.tick)
            assert await queue.leave(claim, "a", 100 * self.tick)

    async def test_a_retry_and_a_redrive_begin_anew(self) -> None:
        """An item that was left for too long, and then failed or was buried, can be left again."""
        async with self.create() as queue:
            await queue.put(Item(b"", id="1"))
            await queue.leave(await self.claim_one(queue), "a", self.tick)
            await self.ticks(3)
            await queue.retry(await self.claim_one(queue), 2 * self.tick)
            assert await self.claim_left(queue, "a") == []
            await self.ticks(3)
            await queue.leave(await self.claim_one(queue), "a", self.tick)
            await self.ticks(3)
            await queue.bury(await self.claim_one(queue), "no use")
            await queue.redrive("1")
            claim = await self.claim_one(queue)
            assert claim.attempt == 1
            assert await queue.leave(claim, "a", self.tick)

    async def test_a_left_item_keeps_its_key_and_can_be_cancelled(self) -> None:
        """Items behind it wait, so that the order holds; when it is gone, they are claimed."""
        async with self.create() as queue:
            await queue.put(Item(b"1", id="1", key="k"), Item(b"2", id="2", key="k"), Item(b"3", id="3", key="k"))
            await queue.leave(await self.claim_one(queue), "a", 100 * self.tick)
            assert await self.claim(queue) == []
            [claim] = await self.claim_left(queue, "a")
            await queue.ack(claim)
            await queue.leave(await self.claim_one(queue), "a", 100 * self.tick)
            assert await queue.cancel("2") == ["2"]
            assert await self.bodies(queue) == [b"3"]

    async def test_a_forgotten_handler_has_no_items(self) -> None:
        """Items that are ready, delayed or left are removed, on every bus; leased and dead ones stay."""
        async with self.create() as queue:
            await queue.announce(BOOK, MAIL, Subscription("audit", "Paid", "mail"), retention=100 * self.tick)
            mail = {HANDLER: "mail"}
            await queue.put(*[Item(b"", mail, id=id) for id in ("dead", "leased", "left")])
            dead, _, left = await self.claim(queue)
            await queue.bury(dead, "no use")
            await queue.leave(left, "a", 100 * self.tick)
            await queue.put(
                Item(b"", mail, id="ready", key="k"), Item(b"late", mail, id="delayed", delay=50 * self.tick)
            )
            await queue.put(Item(b"", {HANDLER: "book"}, id="book", key="k"), Item(b"", {"a": "mail"}, id="other"))
            assert await queue.forget("mail") == 3
            assert [each.handler for each in await queue.subscriptions()] == ["book"]
            assert [claim.id for claim in await self.claim(queue)] == ["book", "other"]
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=3, dead=1)
            assert await queue.forget("mail") == 0

    async def test_a_cleared_queue_has_no_items(self) -> None:
        """In whatever state they were; their claims are lost, their ids and keys are free, and handlers stay."""
        async with self.create() as queue:
            await queue.announce(BOOK, retention=100 * self.tick)
            await queue.put(*[Item(b"", id=id) for id in ("suspect", "dead", "left", "retried")])
            await queue.put(Item(b"", id="leased", key="k"))
            suspect, dead, left, retried, leased = await self.claim(queue)
            await queue.extend(suspect, 2 * self.tick)
            await queue.bury(dead, "no use")
            await queue.leave(left, "a", 100 * self.tick)
            await queue.retry(retried, 100 * self.tick)
            await queue.put(Item(b"", id="ready", key="k"), Item(b"", id="delayed", delay=50 * self.tick))
            await self.ticks(4)
            assert await queue.clear() == 7
            assert await queue.stats() == Stats(ready=0, delayed=0, leased=0, dead=0)
            assert await queue.dead() == [] and await self.claim_left(queue, "a") == []
            for claim in (suspect, leased):
                with pytest.raises(LeaseLost):
                    await queue.ack(claim)
            await queue.put(Item(b"1", id="leased", key="k"), Item(b"2", id="dead"))
            assert await self.bodies(queue) == [b"1", b"2"]
            assert [each.handler for each in await queue.subscriptions()] == ["book"]
            assert await queue.clear() == 2 and await queue.clear() == 0

    async def test_impossible_times_are_errors(self) -> None:
        """And so is a limit below 1."""
        async with self.create() as queue:
            await queue.put(b"")
            claim = await self.claim_one(queue)
            with pytest.raises(InvalidOption, match="retention"):
                await queue.leave(claim, "a", -1)
            with pytest.raises(InvalidOption, match="retention"):
                await queue.announce(BOOK, retention=-1)
            with pytest.raises(InvalidOption, match="limit"):
                await queue.claim_left(["a"], 0, 1)
            with pytest.raises(InvalidOption, match="lease"):
                await queue.claim_left(["a"], 1, 0)

    async def claim_left(self, queue: Queue, *names: str) -> list[Claim]:
        """Claim all items that were left under these names."""
        return await queue.claim_left(names, 100, 100 * self.tick)
