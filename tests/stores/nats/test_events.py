"""Events on a server: the promises of the port, and the search for the place of a revision."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from modd.ports import EventStore
from modd.testing.conformance import EventStoreConformance
from tests.nats.server import NatsServer
from tests.stores.nats.stores import new_name, open_store
from tests.stores.nats.test_records import OnCluster, OnServer

pytestmark = pytest.mark.anyio


class TestNatsEvents(OnServer, EventStoreConformance):
    """The suite of the port."""

    has_gaps = True
    most = 1_000

    @asynccontextmanager
    async def create(self) -> AsyncIterator[EventStore]:
        async with self.open() as store:
            yield store.events


@pytest.mark.slow
class TestNatsEventsOnCluster(OnCluster, TestNatsEvents): ...


@contextmanager
def counting(stream: Any) -> Iterator[list[int]]:
    """Count the searches for a place: a list whose only number they raise."""
    searches, search = [0], stream.next

    async def count(*arguments: Any) -> Any:
        searches[0] += 1
        return await search(*arguments)

    stream.next = count
    try:
        yield searches
    finally:
        stream.next = search


@pytest.mark.parametrize("number", [1, 2, 17])
async def test_the_place_of_a_revision_is_searched_for_with_few_requests(nats_server: NatsServer, number: int) -> None:
    # NA-20: at most one for each doubling of the messages, and none once the place is known
    name = new_name()
    async with open_store(nats_server, name) as store, open_store(nats_server, name) as other:
        for revision in range(20):
            await store.events.append("a", [b"%d" % revision], revision)
            await store.events.append(f"b-{revision}", [b""] * 7, 0)
        with counting(other.stream) as searches:
            assert (await anext(other.events.read("a", number))).body == b"%d" % number
            assert 0 < searches[0] <= 8
            await anext(other.events.read("a", number))
            assert searches[0] <= 8


async def test_the_place_of_a_snapshot_is_known_to_another_process(nats_server: NatsServer) -> None:
    # NA-20: the snapshot has it, so that no search is needed
    name = new_name()
    async with open_store(nats_server, name) as store, open_store(nats_server, name) as other:
        for revision in range(10):
            await store.events.append("a", [b"%d" % revision], revision)
        await store.events.save_snapshot("a", 10, b"state")
        await store.events.append("a", [b"10"], 10)
        await other.events.snapshot("a")
        with counting(other.stream) as searches:
            assert [event.body async for event in other.events.read("a", 10)] == [b"10"]
            assert searches == [0]
