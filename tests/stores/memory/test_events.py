"""The events in memory: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Conflict, EventStore, Item, Tagged
from modd.stores import MemoryEventStore
from modd.stores.paging import PAGE
from modd.testing.conformance import EventStoreConformance
from tests.steps import calls_while

pytestmark = pytest.mark.anyio


class TestMemoryEventStore(EventStoreConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[EventStore]:
        yield MemoryEventStore()


async def bodies(events: AsyncIterator[Any]) -> list[bytes]:
    return [event.body async for event in events]


async def test_a_conflict_says_what_to_do() -> None:
    # ST-7
    store = MemoryEventStore()
    await store.append("cart-1", [b"1", b"2"], 0)
    with pytest.raises(Conflict, match=r"^cart-1 is at revision 2, not at 1; read .* append with expected_revision=2$"):
        await store.append("cart-1", [b"secret"], 1)


async def test_events_of_one_append_were_recorded_at_one_time() -> None:
    times = iter((100.0, 50.0, 70.0))
    store = MemoryEventStore(clock=lambda: next(times))
    await store.append("a", [b"1", b"2"], 0)
    await store.append("a", [b"3"], 2)
    await store.save_snapshot("a", 3, b"")
    assert [event.at async for event in store.read("a")] == [100, 100, 50]
    snapshot = await store.snapshot("a")
    assert snapshot is not None and snapshot.at == 70


@pytest.mark.parametrize("revision", [-1, 1.0, True, None, "1"])
async def test_a_revision_that_cannot_be_is_an_error_when_it_is_given(revision: Any) -> None:
    store, wanted = MemoryEventStore(), r"=.*: give a whole number, 0 or more"
    with pytest.raises(InvalidOption, match="after" + wanted):
        store.read("a", revision)
    with pytest.raises(InvalidOption, match="after" + wanted):
        store.read_all(revision)
    with pytest.raises(InvalidOption, match="expected_revision" + wanted):
        await store.append("a", [b""], revision)
    with pytest.raises(InvalidOption, match="^revision" + wanted):
        await store.save_snapshot("a", revision, b"")


@pytest.mark.parametrize("option", ["key", "delay", "id"])
async def test_what_is_no_part_of_an_event_is_named(option: str) -> None:
    given: Any = {option: 5 if option == "delay" else "mine"}
    with pytest.raises(InvalidOption, match=rf"^{option}=.*: an event has a body and headers only"):
        await MemoryEventStore().append("a", [Item(b"secret", **given)], 0)


async def test_a_cancelled_call_does_nothing_to_events() -> None:
    store = MemoryEventStore()
    for call in (
        store.append("a", [b"1"], 0),
        store.append_where("a", [b"1"], Tagged("a"), 0),
        store.save_snapshot("a", 0, b""),
    ):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await call
        assert scope.cancelled_caught
    assert await bodies(store.read_all()) == []
    assert await store.snapshot("a") is None


async def test_a_reading_that_was_cancelled_goes_on_where_it_was() -> None:
    store = MemoryEventStore()
    numbers = [b"%d" % number for number in range(2 * PAGE + 1)]
    await store.append("a", numbers, 0)
    reading, seen = store.read("a"), list[bytes]()
    while len(seen) < len(numbers):
        with anyio.CancelScope() as scope:
            scope.cancel()
            seen += await bodies(reading)
        assert scope.cancelled_caught
        seen.append((await anext(reading)).body)
        seen += [(await anext(reading)).body for _ in range(min(PAGE - 1, len(numbers) - len(seen)))]
    assert seen == numbers


async def test_pages_that_were_cancelled_go_on_where_they_were() -> None:
    store = MemoryEventStore()
    await store.append("a", [b"1"] * (2 * PAGE), 0)
    pages = store.pages("a")
    for page in ((1, PAGE), (PAGE + 1, PAGE)):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(pages)
        assert scope.cancelled_caught
        revision, found = await anext(pages)
        assert (revision, len(found)) == page


async def test_the_cost_of_a_query_follows_its_rarest_tag() -> None:
    # WM-2
    async def read() -> None:
        assert len(await bodies(store.read_where(Tagged("frequent", "rare", types=["T"])))) == 3

    async def append() -> None:
        await store.append_where("c", [], Tagged("frequent", "rare", types=["U"]), 0)

    store, counts = MemoryEventStore(), list[int]()
    await store.append("b", [Item(b"", {"type": "T"}, tags=("rare", "frequent"))] * 3, 0)
    for revision, count in ((0, 100), (100, 5_000)):
        await store.append("a", [Item(b"", {"type": "T"}, tags=("frequent",))] * count, revision)
        counts.append(await calls_while(read) + await calls_while(append))
    assert counts[1] <= counts[0] * 1.1


async def test_a_long_reading_lets_others_run() -> None:
    store, turns = MemoryEventStore(), 0
    await store.append("a", [b""] * (10 * PAGE), 0)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await bodies(store.read_all())
        tasks.cancel_scope.cancel()
    assert turns >= 9


async def test_a_reading_that_has_ended_stays_at_its_end() -> None:
    store = MemoryEventStore()
    reading = store.read("a")
    assert await bodies(reading) == []
    await store.append("a", [b"1"], 0)
    assert await bodies(reading) == []


async def test_what_is_only_asked_for_is_not_kept() -> None:
    store = MemoryEventStore()
    assert await bodies(store.read("a")) == []
    assert await store.append("b", [], 0) == 0
    with pytest.raises(Conflict):
        await store.append("c", [b""], 1)
    assert not store._streams
