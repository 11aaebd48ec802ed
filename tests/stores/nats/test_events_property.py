"""Random histories of events on a server against the plain model, whose positions have no gaps."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modd.ports import EventStore, QueryConflict, RecordedEvent, Tagged
from tests.nats.server import NatsServer
from tests.stores.event_histories import Both, do, steps
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 4


class Numbered:
    """An event store whose positions are replaced with numbers: 1, 2, 3, and so on, in their order."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.append, self.read, self.pages = store.append, store.read, store.pages
        self.save_snapshot, self.snapshot = store.save_snapshot, store.snapshot

    async def append_where(self, stream: str, items: list[Any], query: Tagged, after: int) -> int | None:
        try:
            position = await self._store.append_where(stream, items, query, (await self._positions(after))[after])
        except QueryConflict as conflict:
            raise QueryConflict(query, after, (await self._positions()).index(conflict.position)) from None
        assert position is not None
        return (await self._positions()).index(position)

    async def read_where(self, query: Tagged, after: int) -> AsyncIterator[RecordedEvent]:
        positions = await self._positions(after)
        async for event in self._store.read_where(query, positions[after]):
            yield msgspec.structs.replace(event, position=positions.index(event.position))

    async def read_all(self, after: int) -> AsyncIterator[RecordedEvent]:
        positions = await self._positions(after)
        async for event in self._store.read_all(positions[after]):
            yield msgspec.structs.replace(event, position=positions.index(event.position))

    async def page(self, after: int, limit: int) -> list[Any]:
        positions = await self._positions(after)
        page = await self._store.page(positions[after], limit)
        return [(positions.index(position), body, headers) for position, body, headers in page]

    async def last(self) -> int:
        return (await self._positions()).index(await self._store.last())

    async def _positions(self, number: int = 0) -> list[int]:
        """The position of each event by its number, up to a number that there may not be."""
        positions = [0, *[event.position async for event in self._store.read_all()]]
        return positions + [positions[-1] + 1 + more for more in range(number)]


async def run(server: NatsServer, history: list[Any]) -> None:
    async with open_store(server) as store:
        numbered: Any = Numbered(store.events)
        both = Both(numbered)
        await do(both, [*history, *(("read", stream, 0) for stream in "abc")])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(history=st.lists(steps, min_size=5, max_size=20))
def test_events_on_a_server_are_what_the_model_has(nats_server: NatsServer, backend: str, history: list[Any]) -> None:
    # NA-20, ST-6, WM-1, WM-2
    anyio.run(run, nats_server, history, backend=backend)
