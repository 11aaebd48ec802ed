"""Events in a database: the promises of the port that several processes keep together, and what is its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import psycopg
import pytest
from psycopg import sql

from modd.errors import InvalidOption
from modd.ports import Item, QueryConflict, ReadConflict, RecordedEvent, RevisionConflict, Tagged
from modd.ports.transaction import open_transaction
from modd.stores import PostgresStore
from modd.stores.paging import PAGE
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = pytest.mark.anyio

COURSE = Tagged("course:1")
Read = Callable[[PostgresStore], Awaitable[object]]


class RolledBack(Exception):
    """Ends a transaction that is not to be kept."""


async def beside(function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    """Call a function outside of the open transaction."""
    token = open_transaction.set(None)
    try:
        await function(*arguments)
    finally:
        open_transaction.reset(token)


async def roll_back(store: PostgresStore, stream: str, immediate: bool) -> None:
    async with store.transaction(immediate=immediate):
        await store.events.append(stream, [b"never"] * 3, 0)
        raise RolledBack


async def append_ten(store: PostgresStore, writer: int) -> None:
    """Append to a stream of the writer, and begin appends that come to nothing in between."""
    for number in range(10):
        await store.events.append(f"{writer}", [b"%d %d" % (writer, number)], number)
        with pytest.raises(RolledBack):
            await roll_back(store, f"{writer} never", immediate=writer % 4 == number % 4)
        with pytest.raises(RevisionConflict):
            await store.events.append(f"{writer}", [b"never"], number)


async def follow(store: PostgresStore, number: int) -> list[RecordedEvent]:
    """Return the first events as a follower sees them, which goes on behind the last one that it has seen."""
    seen: list[RecordedEvent] = []
    while len(seen) < number:
        after = seen[-1].position if seen else 0
        seen += [event async for event in store.events.read_all(after)]
        await store.events.wait(seen[-1].position if seen else 0, 1.0)
    return seen


async def test_a_follower_jumps_over_no_event_of_eight_writers_in_two_stores(postgres_server: PostgresServer) -> None:
    # PG-7
    schema, seen = new_schema(), list[RecordedEvent]()

    async def keep() -> None:
        seen.extend(await follow(store, 81))

    async with (
        new_store(postgres_server, schema) as store,
        new_store(postgres_server, schema) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(keep)
        async with anyio.create_task_group() as writers:
            for writer in range(8):
                writers.start_soon(append_ten, (store, other)[writer % 2], writer)
        await other.events.append("end", [b"end"], 0)
    assert [event.position for event in seen] == [*range(1, 82)]
    assert sorted(event.body for event in seen[:-1]) == sorted(b"%d %d" % (w, n) for w in range(8) for n in range(10))
    assert {(event.stream, event.revision) for event in seen[:-1]} == {
        (f"{w}", n) for w in range(8) for n in range(1, 11)
    }


async def test_the_database_has_each_revision_of_a_stream_once(postgres_server: PostgresServer) -> None:
    # PG-7: whoever writes to the table without the locks of a store
    async with new_store(postgres_server) as store:
        await store.events.append("a", [b"1"], 0)
        insert = sql.SQL("INSERT INTO {}.events VALUES (2, 'a', 1, 0, NULL, '')").format(
            sql.Identifier(store.schema.name)
        )
        with psycopg.connect(postgres_server.url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(insert)


async def test_names_of_streams_and_tags_have_any_character(postgres_server: PostgresServer) -> None:
    # PG-2
    names = ["\x00", "a\x00", "a\x00b", "\N{GRINNING FACE}", "\uffff", "\\x00", "%s", "modd.events"]
    async with new_store(postgres_server) as store:
        for name in names:
            item = Item(name.encode(), {name: name, "type": name}, tags=(name,))
            await store.events.append(name, [item], 0)
            await store.events.save_snapshot(name, 1, Item(name.encode(), {name: name}))
        for name in names:
            [event] = [event async for event in store.events.read(name)]
            snapshot = await store.events.snapshot(name)
            assert snapshot is not None
            for found in (event, snapshot):
                assert (found.stream, found.body, found.headers[name]) == (name, name.encode(), name)
            assert [each.stream async for each in store.events.read_where(Tagged(name, types=[name]))] == [name]


async def test_names_and_bodies_that_no_row_can_have_are_refused(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PG-2
    longest, longer = "\N{GRINNING FACE}" * 500, "x" * 2_001
    async with new_store(postgres_server) as store:
        await store.events.append(longest, [Item(b"1", tags=(longest,))], 0)
        await store.events.save_snapshot(longest, 1, b"1")
        assert await found(store, Tagged(longest)) == [1]
        monkeypatch.setattr("modd.stores.postgres.limits.LARGEST_BODY", 10)
        calls: tuple[Awaitable[object], ...] = (
            store.events.append(longer, [], 0),
            store.events.append("a", [Item(b"", tags=(longer,))], 0),
            store.events.append_where(longer, [], COURSE, 0),
            store.events.append_where("a", [b"x" * 11], COURSE, 0),
            store.events.save_snapshot(longer, 1, b""),
            store.events.save_snapshot("a", 1, b"x" * 11),
        )
        for call in calls:
            with pytest.raises(InvalidOption, match=r"len\((stream|tags|body)\)"):
                await call
        assert await store.events.last() == 1


async def test_the_events_of_an_append_have_one_time_by_the_database(postgres_server: PostgresServer) -> None:
    # PG-6
    async with new_store(postgres_server) as store:
        before = store.clock()
        await store.events.append("a", [b""] * 100, 0)
        await store.events.append("a", [b""], 100)
        times = [event.at async for event in store.events.read("a")]
        assert before - 1 < times[0] == times[99] < times[100] < store.clock() + 1


async def test_in_a_deferred_transaction_appends_to_one_stream_follow_each_other(
    postgres_server: PostgresServer,
) -> None:
    async with new_store(postgres_server) as store:
        async with store.transaction():
            revision = await store.events.append("a", [b"1", b"2"], 0)
            assert await store.events.append("a", [b"3"], revision) == 3
            assert await store.events.append("a", [], 3) == 3
            assert await store.events.append_where("a", [b"4"], COURSE, 0) is None
        assert [event.body async for event in store.events.read("a")] == [b"1", b"2", b"3", b"4"]


async def test_a_conflict_of_a_deferred_transaction_is_raised_by_its_commit(postgres_server: PostgresServer) -> None:
    # PG-7
    async def append() -> None:
        async with store.transaction():
            assert await store.events.append("a", [b"2"], 0) == 1
            assert await store.events.append("b", [b"3"], 0) == 1
            await store.inbox.add("message")

    async def append_where() -> None:
        async with store.transaction():
            await store.events.append("a", [Item(b"2", tags=("course:1",))], 1)
            await store.events.append_where("b", [b"3"], COURSE, 0)

    async with new_store(postgres_server) as store:
        await store.events.append("a", [b"1"], 0)
        with pytest.raises(RevisionConflict) as conflict:
            await append()
        assert (conflict.value.stream, conflict.value.expected, conflict.value.actual) == ("a", 0, 1)
        with pytest.raises(QueryConflict) as match:
            await append_where()
        assert match.value.position == 2
        assert ([event.body async for event in store.events.read_all()], await store.inbox.has("message")) == (
            [b"1"],
            False,
        )


async def test_an_immediate_transaction_finds_its_own_events(postgres_server: PostgresServer) -> None:
    # PG-7
    async with new_store(postgres_server) as store:
        async with store.transaction(immediate=True):
            assert await store.events.append_where("a", [Item(b"1", tags=("course:1",))], COURSE, 0) == 1
            assert [event.position async for event in store.events.read_where(COURSE)] == [1]
            with pytest.raises(QueryConflict):
                await store.events.append_where("a", [b"2"], COURSE, 0)
            with pytest.raises(RevisionConflict):
                await store.events.append("a", [b"2"], 0)
            assert await store.events.append("a", [b"2"], 1) == 2
            await store.events.wait(1, 60)
        assert await store.events.page(1, 9) == [(2, b"2", {})]


async def found(store: PostgresStore, query: Tagged = COURSE, after: int = 0) -> list[int]:
    return [event.position async for event in store.events.read_where(query, after)]


async def all_of(store: PostgresStore) -> list[Any]:
    return [event async for event in store.events.read_all()]


async def read_and_append(store: PostgresStore, read: Read, stream: str, tag: str) -> None:
    """Decide on what is read, while another task appends an event."""
    async with store.transaction():
        await read(store)
        late = [Item(b"late", tags=(tag,))]
        await beside(store.events.append_where, stream, late, Tagged("never"), 0)
        await store.events.append("decisions", [b""], 0)


@pytest.mark.parametrize(
    ("read", "stream", "tag", "title"),
    [
        (found, "b", "course:1", "the events of Tagged('course:1')"),
        (
            lambda store: found(store, COURSE | Tagged("x"), 1),
            "b",
            "x",
            "the events of Tagged('course:1') | Tagged('x')",
        ),
        (lambda store: anext(store.events.read("a")), "a", "x", "the events of a"),
        (lambda store: anext(store.events.pages("a")), "a", "x", "the events of a"),
        (all_of, "b", "x", "the events of all streams"),
        (lambda store: store.events.page(0, 2), "b", "x", "the events of all streams"),
        (lambda store: store.events.last(), "b", "x", "the last position"),
    ],
)
async def test_a_read_that_has_more_events_at_the_commit_is_a_conflict(
    postgres_server: PostgresServer, read: Read, stream: str, tag: str, title: str
) -> None:
    # WM-1, WM-2
    async with new_store(postgres_server) as store:
        await store.events.append("a", [Item(b"1", tags=("course:1",))], 0)
        with pytest.raises(ReadConflict) as conflict:
            await read_and_append(store, read, stream, tag)
        assert conflict.value.statement == title
        assert await store.events.last() == 2


@pytest.mark.parametrize(
    ("read", "stream", "tag"),
    [
        (found, "a", "course:2"),
        (lambda store: anext(store.events.read("b"), None), "a", "course:1"),
        (lambda store: anext(store.events.pages("a")), "a", "course:1"),
        (lambda store: anext(store.events.read_where(COURSE)), "a", "course:1"),
        (lambda store: anext(store.events.read_all()), "a", "course:1"),
        (lambda store: store.events.page(0, 2), "a", "course:1"),
        (lambda store: store.events.page(PAGE - 1, 1, headers=False), "a", "course:1"),
        (lambda store: store.events.wait(0, 0), "a", "course:1"),
    ],
)
async def test_an_event_that_changes_no_read_is_no_conflict(
    postgres_server: PostgresServer, read: Read, stream: str, tag: str
) -> None:
    # WM-1, WM-2
    async with new_store(postgres_server) as store:
        await store.events.append("a", [Item(b"1", tags=("course:1",))] * PAGE, 0)
        await read_and_append(store, read, stream, tag)
        assert await store.events.last() == PAGE + 2


async def test_the_rarest_tag_is_found_among_tags_of_many_events(postgres_server: PostgresServer) -> None:
    # WM-2
    async with new_store(postgres_server) as store:
        await store.events.append("a", [Item(b"", tags=("many", "more"))] * 40, 0)
        await store.events.append("b", [Item(b"", {"type": "T"}, tags=("many", "more", "few"))] * 3, 0)
        assert await found(store, Tagged("many", "more"), 40) == [41, 42, 43]
        assert await found(store, Tagged("many", "more", "few", types=["T"]), 41) == [42, 43]
        assert await found(store, Tagged("many", "few", types=["U"]) | Tagged("none", "more")) == []


async def woken(store: PostgresStore, after: int, then: Callable[[], Awaitable[object]]) -> None:
    """Wait for an event, and fail if what is done then does not end the wait."""

    async def do_when_all_wait() -> None:
        await anyio.wait_all_tasks_blocked()
        await then()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(do_when_all_wait)
            await store.events.wait(after, 600)


@pytest.mark.parametrize("listen", [True, False])
async def test_an_append_of_another_process_ends_a_wait(postgres_server: PostgresServer, listen: bool) -> None:
    # PG-5
    schema, poll = new_schema(), 600.0 if listen else 0.05
    async with (
        new_store(postgres_server, schema, poll=poll, listen=listen) as store,
        new_store(postgres_server, schema) as other,
    ):
        await woken(store, 0, partial(other.events.append, "a", [b"1"], 0))
        await store.events.page(0, 2)
        await woken(store, 1, partial(other.events.append_where, "a", [b"2"], COURSE, 0))


async def test_a_wait_behind_the_last_page_begins_without_a_look(postgres_server: PostgresServer) -> None:
    # WM-143
    async with new_store(postgres_server, listen=False, poll=600) as store, store.transaction(immediate=True):
        await store.events.append("a", [b"1"], 0)
        assert await store.events.page(1, 1) == []
        with anyio.fail_after(60):  # a page of a transaction is not the end that others see
            await store.events.wait(0, 600)
        await beside(store.events.page, 0, 1)
        with anyio.move_on_after(0.05) as scope:
            await store.events.wait(0, 600)  # a look would find the event of the transaction
        assert scope.cancelled_caught


async def test_there_is_nothing_after_what_no_column_can_have(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        await store.events.append("a", [b"1"], 0)
        assert [event async for event in store.events.read("a", after=2**70)] == []
        assert [event async for event in store.events.read_all(after=2**70)] == []
        assert [page async for page in store.events.pages("a", after=2**70)] == []
        assert [event async for event in store.events.read_where(Tagged("a"), after=2**70)] == []
        assert await store.events.page(2**70, 2**70) == []
        await store.events.wait(2**70, 0)
        assert await store.events.append_where("b", [], Tagged("a"), 2**70) == 1
        for events in ([], [b"2"]):
            with pytest.raises(RevisionConflict) as conflict:
                await store.events.append("a", events, 2**70)
            assert (conflict.value.expected, conflict.value.actual) == (2**70, 1)
        with pytest.raises(InvalidOption):
            await store.events.save_snapshot("a", 2**63, b"")
