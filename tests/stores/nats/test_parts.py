"""Cache, locks and documents on a NATS server, without waiting for their ends."""

from __future__ import annotations

import pytest

from modd.errors import InvalidOption
from modd.ports.errors import DocumentConflict
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio


async def test_values_of_the_cache_are_set_added_and_removed(nats_server: NatsServer) -> None:
    # NA-22
    async with open_store(nats_server) as store:
        cache = store.cache
        assert await cache.add("a", b"1", 100) and not await cache.add("a", b"2", 100)
        assert not await cache.add("b", b"1", 0)
        await cache.set("b", b"2", 100)
        assert [await cache.get(key) for key in "abc"] == [b"1", b"2", None]
        await cache.delete("a")
        await cache.delete("c")
        await cache.set("b", b"3", -1)
        assert [await cache.get(key) for key in "ab"] == [None, None]
        assert (await store.stream.last(store.subjects.cache("c"))) is None  # what was not there leaves no tombstone


async def test_a_lock_is_held_by_one_token(nats_server: NatsServer) -> None:
    # NA-22
    async with open_store(nats_server) as store:
        locks = store.locks
        assert await locks.acquire("a", 100, "me") and not await locks.acquire("a", 100, "you")
        await locks.release("a", "you")
        assert not await locks.renew("a", 100, "you") and await locks.renew("a", 100, "me")
        await locks.release("a", "me")
        assert await locks.acquire("a", 100, "you")


async def test_documents_are_swapped_folded_and_removed(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        documents = store.documents("d")
        await documents.swap("a", b"1", None)
        await documents.swap("a", b"1", b"1")
        with pytest.raises(DocumentConflict):
            await documents.swap("a", b"2", None)
        assert await documents.get_many(["b", "a", "b"]) == {"a": b"1"}
        await documents.fold([("a", ""), ("b", "2"), ("c", "")], lambda _, value: value or None, str, str.encode)
        assert await documents.items() == [("b", b"2")]
        await documents.delete("b")
        assert await documents.items() == []
        with pytest.raises(InvalidOption):
            await documents.swap("a", "text", None)  # type: ignore[arg-type]


async def test_a_savepoint_of_a_deferred_transaction_drops_its_writes(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        documents = store.documents("d")

        async def fail() -> None:
            async with store.transaction():
                await documents.put("a", b"2")
                raise ZeroDivisionError

        async with store.transaction():
            await documents.put("a", b"1")
            with pytest.raises(ZeroDivisionError):
                await fail()
            async with store.transaction():
                await documents.put("b", b"1")
        assert await documents.items() == [("a", b"1"), ("b", b"1")]
