"""Events by pages and by tags inside of transactions: reads are validated by the commit, appends are part of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modd.ports import Item, QueryConflict, ReadConflict, Tagged
from modd.stores.paging import PAGE
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.effects import outsider
from tests.stores.sqlite.test_isolation import Open, modes

pytestmark = pytest.mark.anyio

COURSE = Tagged("course:1")
Read = Callable[[SqliteStore], Awaitable[object]]


async def found(store: SqliteStore, query: Tagged = COURSE, after: int = 0) -> list[int]:
    return [event.position async for event in store.events.read_where(query, after)]


async def pages(store: SqliteStore) -> list[Any]:
    return [page async for page in store.events.pages("a")]


async def append(store: SqliteStore, stream: str, tag: str) -> None:
    await store.events.append_where(stream, [Item(b"late", tags=(tag,))], Tagged("never"), 0)


async def read_and_append(store: SqliteStore, read: Read, do: Any, stream: str, tag: str) -> None:
    """Decide on what is read, while another one appends an event."""
    async with store.transaction():
        await read(store)
        await do(append, store, stream, tag)
        await store.events.append("decisions", [b""], 0)


@pytest.mark.costly
@modes
@pytest.mark.parametrize(
    ("read", "stream", "tag", "statement"),
    [
        (found, "b", "course:1", "the events of Tagged('course:1')"),
        (
            lambda store: found(store, COURSE | Tagged("x"), 1),
            "b",
            "x",
            "the events of Tagged('course:1') | Tagged('x')",
        ),
        (pages, "a", "x", "the events of a"),
        (lambda store: store.events.page(0, 2), "b", "x", "the events of all streams"),
        (lambda store: store.events.last(), "b", "x", "the last position"),
    ],
)
async def test_a_read_whose_events_are_more_at_the_commit_is_a_conflict(
    mode: Open, path: Path, read: Read, stream: str, tag: str, statement: str
) -> None:
    # WM-1, WM-2
    async with mode(path) as store, outsider() as do:
        await store.events.append("a", [Item(b"1", tags=("course:1",))], 0)
        with pytest.raises(ReadConflict) as conflict:
            await read_and_append(store, read, do, stream, tag)
        assert conflict.value.statement == statement
        assert await store.events.last() == 2


@pytest.mark.costly
@modes
@pytest.mark.parametrize(
    ("read", "stream", "tag"),
    [
        (found, "a", "course:2"),
        (pages, "b", "course:1"),
        (lambda store: anext(store.events.pages("a")), "a", "course:1"),
        (lambda store: anext(store.events.read_where(COURSE)), "a", "course:1"),
        (lambda store: store.events.page(0, 2), "a", "course:1"),
        (lambda store: store.events.page(PAGE - 1, 1, headers=False), "a", "course:1"),
        (lambda store: store.events.wait(0, 0), "a", "course:1"),
    ],
)
async def test_an_event_that_changes_no_read_is_no_conflict(
    mode: Open, path: Path, read: Read, stream: str, tag: str
) -> None:
    # WM-1, WM-2
    async with mode(path) as store, outsider() as do:
        await store.events.append("a", [Item(b"1", tags=("course:1",))] * PAGE, 0)
        await read_and_append(store, read, do, stream, tag)
        assert await store.events.last() == PAGE + 2


@modes
async def test_a_condition_is_checked_by_the_commit_of_a_deferred_transaction(mode: Open, path: Path) -> None:
    # WM-2
    async def decide() -> None:
        async with store.transaction():
            assert await store.events.append_where("b", [b"2"], COURSE, 1) is None
            await store.queue("mails").put(b"2")
            await do(append, store, "a", "course:1")

    async with mode(path) as store, outsider() as do:
        await store.events.append("a", [Item(b"1", tags=("course:1",))], 0)
        with pytest.raises(QueryConflict) as conflict:
            await decide()
        assert conflict.value.position == 2
        assert ((await store.queue("mails").stats()).ready, await store.events.last()) == (0, 2)


async def test_an_append_before_it_in_a_deferred_transaction_is_a_match_like_any_other(path: Path) -> None:
    # WM-2
    async def append_twice(tag: str) -> None:
        async with store.transaction():
            await store.events.append("a", [Item(b"1", tags=(tag,))], 0)
            await store.events.append_where("b", [b"2"], COURSE, 0)

    async with SqliteStore(path) as store:
        with pytest.raises(QueryConflict):
            await append_twice("course:1")
        assert await store.events.last() == 0
        await append_twice("course:2")
        assert await store.events.last() == 2


async def test_an_immediate_transaction_finds_its_own_events_and_knows_their_positions(path: Path) -> None:
    # WM-2
    async with SqliteStore(path) as store:
        async with store.transaction(immediate=True):
            assert await store.events.append_where("a", [Item(b"1", tags=("course:1",))], COURSE, 0) == 1
            assert (await found(store), await pages(store)) == ([1], [(1, [b"1"])])
            with pytest.raises(QueryConflict):
                await store.events.append_where("a", [b"2"], COURSE, 0)
            assert await store.events.append_where("a", [Item(b"2", tags=("course:1",))], COURSE, 1) == 2
            await store.events.wait(1, 60)
        assert (await found(store), await store.events.page(1, 9)) == ([1, 2], [(2, b"2", {})])


@pytest.mark.parametrize("immediate", [False, True])
async def test_tags_go_with_the_events_of_a_block_that_fails(path: Path, immediate: bool) -> None:
    # WM-2
    async def fail(block: Any) -> None:
        async with block:
            await store.events.append_where("a", [Item(b"1", tags=("course:1",))], Tagged("never"), 0)
            raise KeyError

    async with SqliteStore(path) as store:
        with pytest.raises(KeyError):
            await fail(store.transaction(immediate=immediate))
        async with store.transaction(immediate=immediate) as tx:
            with pytest.raises(KeyError):
                await fail(tx.savepoint())
            await store.events.append("b", [Item(b"2", tags=("course:1",))], 0)
        assert [event.body async for event in store.events.read_where(COURSE)] == [b"2"]
