"""The conformance suite for outboxes."""

from __future__ import annotations

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.items import Item
from modd.ports.outbox import Outbox
from modd.testing.conformance.outbox_leases import OutboxLeaseSuite
from modd.testing.conformance.outbox_transactions import OutboxTransactionSuite
from modd.testing.conformance.waiting import WaitSuite


class OutboxConformance(OutboxLeaseSuite, OutboxTransactionSuite, WaitSuite[Outbox]):
    """The promises of `modd.ports.Outbox`; those about leases, transactions and waiting are in the base classes."""

    async def test_an_empty_outbox_gives_nothing(self) -> None:
        """A claim does not wait; to acknowledge or release no claims is no error."""
        async with self.create() as outbox:
            assert await self.claim(outbox) == []
            assert await outbox.put() == []
            await outbox.ack()
            await outbox.release()
            assert await self.claim(outbox) == []

    async def test_what_is_claimed_is_what_was_put_into_it(self) -> None:
        """A claim has the bytes and all values of its item."""
        async with self.create() as outbox:
            body, headers = bytes(range(256)), {"type": "a", "ü": ""}
            ids = await outbox.put(b"", Item(body, headers=headers, key="k", id="mine"), b"x" * 100_000)
            first, second, third = await self.claim(outbox)
            assert (first.id, first.body, first.headers, first.key, first.attempt) == (ids[0], b"", {}, None, 1)
            assert (second.id, second.body, second.headers, second.key) == ("mine", body, headers, "k")
            assert (ids[1], third.id, third.body) == ("mine", ids[2], b"x" * 100_000)

    async def test_headers_of_items_are_copies(self) -> None:
        """A later change of put or claimed headers does not change the item."""
        async with self.create() as outbox:
            headers = {"a": "1"}
            await outbox.put(Item(b"", headers=headers))
            headers["a"] = "2"
            for _ in range(2):
                [claim] = await self.claim(outbox)
                assert claim.headers == {"a": "1"}
                claim.headers["a"] = "3"
                await outbox.release(claim)

    async def test_items_are_claimed_in_the_order_in_which_they_were_put(self) -> None:
        """A claim has items up to the limit, the next claim has the rest; keys block nothing."""
        async with self.create() as outbox:
            await outbox.put(Item(b"1", key="k"), Item(b"2", key="k"))
            await outbox.put(b"3", b"4", Item(b"5", key="k"))
            assert await self.publish(outbox, 3) == [b"1", b"2", b"3"]
            assert await self.publish(outbox, 3) == [b"4", b"5"]
            assert await self.publish(outbox, 3) == []

    async def test_what_several_put_at_once_is_all_there(self) -> None:
        """Concurrent puts lose nothing, and the items of each task stay in their order."""

        async def put(name: str) -> None:
            for number in range(10):
                await outbox.put(Item(b"%d" % (2 * number), key=name), Item(b"%d" % (2 * number + 1), key=name))

        async with self.create() as outbox:
            async with anyio.create_task_group() as tasks:
                for name in "abcde":
                    tasks.start_soon(put, name)
            claims = await self.claim(outbox, 1_000)
            assert len(claims) == 100
            for name in "abcde":
                assert [claim.body for claim in claims if claim.key == name] == [b"%d" % n for n in range(20)]

    async def test_every_item_has_an_id_of_its_own(self) -> None:
        """Equal bodies are different items."""
        async with self.create() as outbox:
            ids = await outbox.put(*[b"same"] * 10)
            assert len(set(ids)) == 10
            assert [claim.id for claim in await self.claim(outbox)] == ids

    async def test_an_id_that_is_known_is_not_put_again(self) -> None:
        """A known id is returned but not added, in one put or later, waiting or claimed."""
        async with self.create() as outbox:
            assert await outbox.put(Item(b"1", id="a"), Item(b"2", id="a")) == ["a", "a"]
            assert await outbox.put(Item(b"3", id="a"), Item(b"4", id="b")) == ["a", "b"]
            claims = await self.claim(outbox)
            assert await outbox.put(Item(b"5", id="b")) == ["b"]
            assert [claim.body for claim in claims] == [b"1", b"4"]
            await outbox.ack(*claims)
            assert await self.bodies(outbox) == []

    async def test_items_are_put_all_or_none(self) -> None:
        """With an invalid item, one with a delay, with tags or without bytes, no item is added."""
        async with self.create() as outbox:
            text: bytes = "2"  # type: ignore[assignment]
            for wrong in (Item(b"2", delay=1), Item(b"2", tags=("course:1",)), text):
                with pytest.raises(InvalidOption):
                    await outbox.put(b"1", wrong, b"3")
            assert await self.bodies(outbox) == []

    async def test_options_that_cannot_work_are_errors(self) -> None:
        """A limit below 1 and a lease that is not above 0 are `InvalidOption`, and claim nothing."""
        async with self.create() as outbox:
            await outbox.put(b"1")
            for limit, lease in ((0, 1), (-1, 1), (1, 0), (1, -1), (1, float("nan"))):
                with pytest.raises(InvalidOption):
                    await outbox.claim(limit, lease)
            assert await self.bodies(outbox) == [b"1"]
