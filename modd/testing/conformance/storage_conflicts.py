"""The promises of stores with all ports about transactions that others are faster than."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from modd.ports.errors import Conflict, DocumentConflict, ReadConflict
from modd.ports.items import Item
from modd.ports.queue import Queue
from modd.ports.storage import Storage
from modd.testing.conformance.base import Suite, bodies
from modd.testing.conformance.documents import add_up, encode_number
from modd.testing.conformance.storage_parts import outside, write_everywhere


class TransactionConflictSuite(Suite[Storage]):
    """A transaction whose reads are not true any more is a conflict, and writes nothing."""

    async def test_an_answer_to_a_cancel_that_is_not_true_at_the_commit_is_a_conflict(self) -> None:
        """In a deferred transaction: as for an item that the block itself has put before."""
        async with self.create() as store:
            queue = store.queue("timers")
            await queue.put(Item(b"1", id="a"))
            async with store.transaction():
                assert await queue.cancel("a", "b") == ["a"]
            with pytest.raises(ReadConflict):
                await self._put_and_cancel(store, queue)
            assert (await queue.stats()).ready == 0

    async def _put_and_cancel(self, store: Storage, queue: Queue) -> None:
        async with store.transaction():
            await queue.put(Item(b"1", id="b"))
            assert await queue.cancel("b") == []

    async def test_a_transaction_that_has_read_a_stream_that_grew_is_a_conflict(self) -> None:
        """Nothing of it is written."""
        async with self.create() as store, outside() as do:
            with pytest.raises(ReadConflict):
                await self._decide(store, do)
            assert (await store.queue("mails").stats()).ready == 0

    async def _decide(self, store: Storage, do: Any) -> None:
        async with store.transaction():
            assert await bodies(store.events.read("cart")) == []
            await do(store.events.append, "cart", [b"added"], 0)
            await store.queue("mails").put(b"the cart is empty")

    async def test_a_read_of_anything_that_has_changed_is_a_conflict(self) -> None:
        """All events, a snapshot, an id of the inbox, documents, a feed, the numbers of a queue, its dead letters."""
        reads: list[Callable[[Storage], Awaitable[object]]] = [
            lambda store: bodies(store.events.read_all()),
            lambda store: store.events.snapshot("a"),
            lambda store: store.inbox.has("a"),
            lambda store: store.documents("states").get("a"),
            lambda store: store.documents("states").get_many(["b", "a"]),
            lambda store: store.documents("states").items(),
            lambda store: store.feed("public").span(),
            lambda store: store.queue("orders").stats(),
            lambda store: store.queue("dead").dead(),
        ]
        for read in reads:
            async with self.create() as store, outside() as do:
                await store.queue("dead").put(b"1")
                with pytest.raises(Conflict):
                    await self._read_beside(store, do, read)
                assert await bodies(store.events.read("other")) == []

    async def _read_beside(self, store: Storage, do: Any, read: Callable[[Storage], Awaitable[object]]) -> None:
        async with store.transaction():
            await read(store)
            await do(self._change_all, store)
            await store.events.append("other", [b"1"], 0)

    async def _change_all(self, store: Storage) -> None:
        await write_everywhere(store, "a")
        [claim] = await store.queue("dead").claim(1, 100 * self.tick)
        await store.queue("dead").bury(claim, "broken")

    async def test_other_streams_and_ids_are_no_conflict(self) -> None:
        """Of all that was read nothing has changed."""
        async with self.create() as store, outside() as do:
            async with store.transaction():
                assert await bodies(store.events.read("cart")) == []
                assert await store.events.snapshot("cart") is None
                assert not await store.inbox.has("cart")
                assert await store.documents("states").get("cart") is None
                await do(write_everywhere, store, "order")
                await store.events.append("cart", [b"added"], 0)
            assert await bodies(store.events.read("cart")) == [b"added"]

    async def test_folds_of_transactions_that_overlap_lose_nothing(self) -> None:
        """And none is a conflict; a swap that comes too late is one, and nothing of its transaction is written."""
        async with self.create() as store, outside() as do:
            sums, states = store.documents("sums"), store.documents("states")
            async with store.transaction():
                await sums.fold([("a", 1)], add_up, int, encode_number)
                await do(sums.fold, [("a", 2)], add_up, int, encode_number)
                assert await sums.get("b") is None
                await sums.fold([("a", 3), ("b", 1)], add_up, int, encode_number)
            assert await sums.items() == [("a", b"6"), ("b", b"1")]

            async def swap_too_late() -> None:
                async with store.transaction():
                    await sums.fold([("a", 10)], add_up, int, encode_number)
                    await states.swap("a", b"1", None)
                    await do(states.put, "a", b"2")

            with pytest.raises(DocumentConflict):
                await swap_too_late()
            assert (await sums.get("a"), await states.get("a")) == (b"6", b"2")
