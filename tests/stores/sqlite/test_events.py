"""Events in a file: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from modd.ports import EventStore, Item, RecordedEvent, RevisionConflict, Snapshot, Tagged
from modd.stores.paging import PAGE
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import EventStoreConformance
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio


class TestSqliteEventStore(EventStoreConformance):
    """The suite of the port."""

    @pytest.fixture(autouse=True)
    def _own(self, path: Path) -> None:
        self.path = path

    @asynccontextmanager
    async def create(self) -> AsyncIterator[EventStore]:
        async with SqliteStore(self.path) as store:
            yield store.events


async def test_events_and_snapshots_are_there_when_the_file_is_opened_again(path: Path, clock: Clock) -> None:
    async with SqliteStore(path, clock=clock) as store:
        await store.events.append("a", [b"1", Item(b"2", {"type": "x"})], 0)
        await store.events.save_snapshot("a", 2, Item(b"s", {"type": "y"}))
    clock.now += 60
    async with SqliteStore(path, clock=clock) as store:
        await store.events.append("a", [b"3"], 2)
        assert [event async for event in store.events.read("a")] == [
            RecordedEvent("a", 1, 1, b"1", {}, clock.now - 60),
            RecordedEvent("a", 2, 2, b"2", {"type": "x"}, clock.now - 60),
            RecordedEvent("a", 3, 3, b"3", {}, clock.now),
        ]
        assert await store.events.snapshot("a") == Snapshot("a", 2, b"s", {"type": "y"}, clock.now - 60)


async def test_in_a_transaction_appends_to_one_stream_follow_each_other(path: Path) -> None:
    async with SqliteStore(path) as store:
        async with store.transaction():
            revision = await store.events.append("a", [b"1", b"2"], 0)
            assert await store.events.append("a", [b"3"], revision) == 3
            assert await store.events.append("a", [], 3) == 3
        assert [(event.revision, event.body) async for event in store.events.read("a")] == [
            (1, b"1"),
            (2, b"2"),
            (3, b"3"),
        ]


async def test_in_a_transaction_a_conflict_is_told_at_the_commit(path: Path) -> None:
    async def append() -> None:
        async with store.transaction():
            assert await store.events.append("a", [b"2"], 0) == 1
            assert await store.events.append("b", [b"3"], 0) == 1

    async with SqliteStore(path) as store:
        await store.events.append("a", [b"1"], 0)
        with pytest.raises(RevisionConflict) as conflict:
            await append()
        assert (conflict.value.stream, conflict.value.expected, conflict.value.actual) == ("a", 0, 1)
        assert [event.body async for event in store.events.read_all()] == [b"1"]


@pytest.mark.costly
async def test_one_who_reads_holds_no_connection_while_it_does_something_else(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.events.append("a", [b"%d" % number for number in range(PAGE + 1)], 0)
        readings = [store.events.read_all() for _ in range(20)]
        for reading in readings:
            assert (await anext(reading)).position == 1
        with anyio.fail_after(60):
            assert [len([event async for event in reading]) for reading in readings] == [PAGE] * 20


async def test_what_has_ended_stays_at_its_end(path: Path) -> None:
    async with SqliteStore(path) as store:
        reading = store.events.read("a")
        assert [event async for event in reading] == []
        await store.events.append("a", [b"1"], 0)
        assert [event async for event in reading] == []


async def test_there_is_nothing_after_what_no_file_can_have(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.events.append("a", [b"1"], 0)
        assert [event async for event in store.events.read("a", after=2**70)] == []
        assert [event async for event in store.events.read_all(after=2**70)] == []
        assert [page async for page in store.events.pages("a", after=2**70)] == []
        assert [event async for event in store.events.read_where(Tagged("a"), after=2**70)] == []
        assert await store.events.page(2**70, 2**70) == []
        await store.events.wait(2**70, 0)
        assert await store.events.append_where("b", [], Tagged("a"), 2**70) == 1
        with pytest.raises(RevisionConflict):
            await store.events.append("a", [], 2**70)
