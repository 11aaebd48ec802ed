"""The log as a follower reads it, the cursors on it, and the leases."""

from __future__ import annotations

from typing import Any

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


async def test_a_lease_is_lost_once(store: Any, caplog: Any) -> None:
    lease = TrackLease(store.locks, "any", 30, log)
    assert await lease.acquire()
    assert await lease.acquire()
    lease.lose()
    lease.lose()
    assert caplog.text.count("was lost") == 1
    assert not await lease.acquire()
