"""Documents in a database: what other transactions change meanwhile is neither lost nor overlooked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import psycopg
import pytest

from modd.errors import InvalidOption
from modd.ports import DocumentConflict, Documents, ReadConflict
from modd.stores import PostgresStore
from modd.stores.postgres.documents import change_documents, swap_if_equal
from modd.stores.postgres.session import ConnectionSession, Schema
from modd.testing.conformance.documents import add_up, encode_number
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store
from tests.stores.postgres.test_events import beside

pytestmark = pytest.mark.anyio


async def fold(store: PostgresStore, *keys: str) -> None:
    await store.documents("sums").fold([(key, 1) for key in keys], add_up, int, encode_number)


async def test_folds_of_two_stores_into_absent_documents_lose_nothing(postgres_server: PostgresServer) -> None:
    # PG-60: in opposite orders, too, and beside writers that remove them
    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        for number in range(5):
            keys = [f"{number} {letter}" for letter in "abc"]
            async with anyio.create_task_group() as tasks:
                for each in (store, other):
                    tasks.start_soon(fold, each, *keys)
                    tasks.start_soon(fold, each, *keys[::-1])
                    tasks.start_soon(each.documents("sums").delete, f"{number} none")
                    tasks.start_soon(fold, each, f"{number} none")
            assert await store.documents("sums").get_many(keys) == dict.fromkeys(keys, b"4")


async def swap_and_put(server: PostgresServer, schema: Schema) -> None:
    async with (
        await psycopg.AsyncConnection.connect(server.url) as first,
        await psycopg.AsyncConnection.connect(server.url, options="-c lock_timeout=50") as second,
    ):
        await swap_if_equal(ConnectionSession(first, schema), "a", "k", None, None)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await change_documents(ConnectionSession(second, schema), "a", {"k": b"2"})
        await second.rollback()
        await first.commit()
        await change_documents(ConnectionSession(second, schema), "a", {"k": b"2"})


async def test_a_document_that_is_absent_for_a_swap_stays_so_until_the_commit(postgres_server: PostgresServer) -> None:
    # PG-60
    async with new_store(postgres_server) as store:
        await anyio.to_thread.run_sync(asyncio.run, swap_and_put(postgres_server, store.schema))
        assert await store.documents("a").items() == [("k", b"2")]


async def test_a_conflict_of_a_deferred_transaction_leaves_all_documents_as_they_were(
    postgres_server: PostgresServer,
) -> None:
    # PG-60
    async def write() -> None:
        async with store.transaction():
            await documents.put("b", b"1")
            await fold(store, "sum")
            await documents.swap("a", b"1", b"0")

    async with new_store(postgres_server) as store:
        documents = store.documents("a")
        with pytest.raises(DocumentConflict) as conflict:
            await write()
        assert (conflict.value.space, conflict.value.key) == ("a", "a")
        assert (await documents.items(), await store.documents("sums").items()) == ([], [])
        await documents.put("a", b"0")
        await write()
        assert (await documents.items(), await store.documents("sums").get("sum")) == ([("a", b"1"), ("b", b"1")], b"1")


@pytest.mark.parametrize(
    "read",
    [
        lambda documents: documents.get("a"),
        lambda documents: documents.get_many(["a"]),
        lambda documents: documents.items(limit=1),
    ],
)
async def test_a_document_that_was_read_and_has_changed_is_a_conflict(
    postgres_server: PostgresServer, read: Callable[[Documents], Awaitable[object]]
) -> None:
    # PG-60
    async def decide(key: str) -> None:
        async with store.transaction():
            await read(documents)
            await beside(documents.put, key, b"1")
            await documents.put("decision", b"")

    async with new_store(postgres_server) as store:
        documents = store.documents("a")
        await documents.put("a", b"0")
        await decide("b")
        with pytest.raises(ReadConflict, match="of a"):
            await decide("a")


async def test_keys_and_spaces_have_any_character(postgres_server: PostgresServer) -> None:
    # PG-2
    names = ["\x00", "a\x00", "a\x00b", "\N{GRINNING FACE}", "\uffff", "\\x00", "%s", "modd.documents"]
    async with new_store(postgres_server) as store:
        for space in [*names, ""]:
            await store.documents(space).put_many({key: f"{space} {key}".encode() for key in names})
        for space in [*names, ""]:
            expected = [(key, f"{space} {key}".encode()) for key in sorted(names)]
            assert await store.documents(space).items(limit=2**70) == expected
        assert repr(store.documents("sales")) == f"<PostgresDocuments sales in {store.name}>"
        with pytest.raises(InvalidOption, match=r"give a text, such as store\.documents"):
            store.documents(7)  # type: ignore[arg-type]  # no text


async def test_keys_spaces_and_bodies_that_no_row_can_have_are_refused(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PG-2
    longer = "x" * 2_001
    async with new_store(postgres_server) as store:
        documents = store.documents("\N{GRINNING FACE}" * 150)
        await documents.put("\N{GRINNING FACE}" * 500, b"1")
        assert await documents.get(longer) is None
        monkeypatch.setattr("modd.stores.postgres.limits.LARGEST_BODY", 10)
        for call in (
            documents.put(longer, b""),
            documents.put("a", b"x" * 11),
            documents.put_many({"a": b"", longer: None}),
            documents.put_many({"a": b"x" * 11}),
            documents.swap(longer, None, None),
            documents.swap("a", b"x" * 11, None),
            documents.fold([(longer, 1)], add_up, int, encode_number),
            documents.fold([("a", 10**10)], add_up, int, encode_number),
        ):
            with pytest.raises(InvalidOption, match=r"len\((key|body|bodies|encode)\)"):
                await call
        with pytest.raises(InvalidOption, match=r"len\(space\)"):
            store.documents("x" * 601)
        assert [body for _, body in await documents.items()] == [b"1"]
