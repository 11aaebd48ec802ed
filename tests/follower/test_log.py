"""The log as a follower reads it, the cursors on it, and the leases."""

from __future__ import annotations

from typing import Any, cast

import pytest

from modd.cqrs import Codec
from modd.follower.cursor import Cursors, TrackCursor
from modd.follower.log_reader import LogReader
from modd.follower.track_lease import TrackLease
from modd.ports import Item, StoreError
from modd.ports.tagged import TYPE_HEADER
from tests.follower.shop import Placed
from tests.follower.tracks import Noting, engine_of, log, run_to_end

pytestmark = pytest.mark.anyio


async def test_a_cursor_is_made_once_and_kept(store: Any) -> None:
    cursors = Cursors(store)
    await cursors.create("a", 7)
    await cursors.create("a", 9)
    assert await cursors.all() == {"a": TrackCursor(7)}
    async with store.transaction(immediate=True):
        await cursors.touch("a")
        await cursors.touch("b")
    assert await cursors.all() == {"a": TrackCursor(7, 1)}
    stored = await cursors.load("a")
    assert stored is not None
    await cursors.swap("a", None, stored)
    assert await cursors.load("a") is None


async def test_a_lease_that_cannot_be_released_is_told(store: Any, monkeypatch: Any, caplog: Any) -> None:
    async def fail(key: str, token: str) -> None:
        raise StoreError("the store", "it is away")

    monkeypatch.setattr(store.locks, "release", fail)
    await run_to_end(engine_of(store, Noting(store)))
    assert "the lease 'modd track test notes' was not released; it ends by itself" in caplog.text


async def test_the_reader_of_the_log_knows_types_of_both_formats_and_no_others(store: Any) -> None:
    msgpack = Codec([Placed], format="msgpack").encode_message(Placed("7", "tea"))
    items = [msgpack, Item(b"", {TYPE_HEADER: "Tagged"}), b"\xff", b""]
    await store.events.append("all", items, 0)
    reader = LogReader(store.events, 2)
    page = await reader.page(0)
    assert ([event.type for event in page.events], page.is_last) == (["Placed", "Tagged"], False)
    assert [event.type for event in (await reader.page(2)).events] == ["", ""]
    assert (await reader.event(1)).type == "Placed"
    with pytest.raises(LookupError, match="no event at position 9"):
        await reader.event(9)


class Reads:
    """The log of a store, which notes the size of each read."""

    def __init__(self, store: Any) -> None:
        self.events, self.sizes = store.events, list[int]()

    async def page(self, after: int, limit: int) -> Any:
        self.sizes.append(limit)
        return await self.events.page(after, limit)


async def read_on(reader: LogReader, after: int, pages: int) -> list[tuple[int, bool]]:
    """Return the ends of so many pages, one behind the other, each with ``is_last``."""
    found = list[tuple[int, bool]]()
    for _ in range(pages):
        page = await reader.page(after)
        assert [event.position for event in page.events] == [*range(after + 1, page.end + 1)]
        assert all(event.body == b"%d" % event.position for event in page.events)
        after = page.end
        found.append((after, page.is_last))
    return found


async def number(store: Any, first: int, last: int) -> None:
    """Append events whose bodies are their positions."""
    await store.events.append("all", [b"%d" % each for each in range(first, last + 1)], first - 1)


async def test_small_pages_are_read_ahead_as_far_as_they_are_full(store: Any) -> None:  # WM-110
    await number(store, 1, 43)
    log = Reads(store)
    reader: Any = LogReader(cast(Any, log), 2)
    ends = await read_on(reader, 0, 22)
    assert ends == [(end, False) for end in range(2, 43, 2)] + [(43, True)]
    assert log.sizes == [2, 8, 32, 128]
    await number(store, 44, 48)
    assert await read_on(reader, 43, 4) == [(45, False), (47, False), (48, False), (48, True)]
    assert log.sizes[4:] == [2, 8, 2]


async def test_events_read_ahead_are_for_the_next_page_alone(store: Any) -> None:  # WM-110
    await number(store, 1, 43)
    log = Reads(store)
    reader: Any = LogReader(cast(Any, log), 2)
    assert await read_on(reader, 0, 2) == [(2, False), (4, False)]
    assert await read_on(reader, 20, 1) == [(22, False)]  # a track that stands at another position
    assert await read_on(reader, 4, 1) == [(6, False)]
    assert log.sizes == [2, 8, 2, 2]
    assert await read_on(reader, 6, 1) == [(8, False)]
    assert await read_on(reader, 7, 1) == [(9, False)]  # it was set back to an event of the page
    assert log.sizes[4:] == [8, 2]


async def test_large_pages_are_dealt_out_as_they_were_read(store: Any) -> None:  # WM-110
    await number(store, 1, 300)
    log = Reads(store)
    reader: Any = LogReader(cast(Any, log), None)
    assert await read_on(reader, 0, 1) == [(256, False)]
    assert await read_on(reader, 10, 1) == [(300, True)]  # larger, for a track at another position as well
    assert log.sizes == [256, 1024]


async def test_a_read_that_fails_is_done_again(store: Any, monkeypatch: Any) -> None:
    await number(store, 1, 5)
    reader, page = LogReader(store.events, 2), store.events.page

    async def fail(after: int, limit: int) -> Any:
        raise StoreError("the store", "it is away")

    assert await read_on(reader, 0, 1) == [(2, False)]
    monkeypatch.setattr(store.events, "page", fail)
    with pytest.raises(StoreError):
        await reader.page(2)
    monkeypatch.setattr(store.events, "page", page)
    assert await read_on(reader, 2, 2) == [(4, False), (5, False)]


async def test_a_lease_is_lost_once(store: Any, caplog: Any) -> None:
    lease = TrackLease(store.locks, "any", 30, log)
    assert await lease.acquire()
    assert await lease.acquire()
    lease.lose()
    lease.lose()
    assert caplog.text.count("was lost") == 1
    assert not await lease.acquire()
