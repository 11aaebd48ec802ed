"""Followers carry the events of the log to projections."""

from __future__ import annotations

from typing import Any

import pytest

from modd.stores import MemoryStore
from tests.projection.shop import Moved, Ordered, Returned, Sold, content, follow, record, sales, totals

pytestmark = pytest.mark.anyio


def kinds(store: Any) -> list[Any]:
    """Return the projections that a store can have."""
    return [totals()] if isinstance(store, MemoryStore) else [totals(), sales()]


async def test_each_event_is_applied_once_in_however_many_steps(store: Any) -> None:
    # WM-60
    await record(store, Ordered("1"), Moved(), Ordered("2", "lamp", 3))
    for batch in (1, 2, None):
        for projection in kinds(store):
            await follow(store, projection, batch=batch)
            await follow(store, projection)
    await record(store, Returned("lamp", 3), Ordered("3", "rope", 4))
    for projection in kinds(store):
        await follow(store, projection)
        assert await content(store, projection) == {"rope": 5}


async def test_states_are_read_by_key_and_page_by_page(store: Any) -> None:
    # WM-61
    projection = totals()
    reader = projection.of(store)
    assert (await reader.get("rope"), await reader.items()) == (None, [])
    await record(store, Ordered("1"), Ordered("2", "lamp", 3), Ordered("3"))
    await follow(store, projection)
    assert await reader.get("rope") == Sold(2, 2)
    assert await reader.get("knife") is None
    assert await reader.items(limit=1) == [("lamp", Sold(3, 1))]
    assert await reader.items(after="lamp") == [("rope", Sold(2, 2))]
