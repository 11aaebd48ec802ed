"""Followers carry the events of the log to projections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from modd.cqrs import Codec, Event
from modd.projection import states
from modd.projection.builds import REGISTRY
from modd.projection.states import space_of
from modd.stores import MemoryStore
from tests.projection.shop import Moved, Ordered, Returned, Sold, content, follow, rebuild, record, sales, totals

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


async def test_states_in_memory_have_a_limit(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-60
    monkeypatch.setattr(states, "MOST_STATES", 2)
    await record(store, *[Ordered(str(number), str(number % 5)) for number in range(20)])
    await follow(store, totals(), batch=3)
    assert await content(store, totals()) == dict.fromkeys("01234", 4)


async def test_a_function_that_fails_once_is_no_failure(store: Any) -> None:
    # WM-64
    calls = list[str]()

    def once(state: Sold, event: Ordered) -> Sold:
        calls.append(event.order)
        if len(calls) == 2:
            raise MemoryError
        return Sold(state.pieces + event.pieces, 0)

    await record(store, Ordered("1"), Ordered("2"))
    await follow(store, totals(events={Ordered: once}))
    assert (calls, await content(store, totals())) == (["1", "2", "1", "2"], {"rope": 2})


class Weight:
    """A type that msgspec does not know."""


class Weighed(Event):
    sku: str
    weight: Weight


async def test_an_event_whose_decoding_fails_once_is_decoded(store: Any) -> None:
    # WM-64
    calls = list[object]()

    def decode(kind: type, value: object) -> Weight:
        calls.append(value)
        if len(calls) < 3:
            raise MemoryError
        return Weight()

    codec = Codec([Weighed], dec_hook=decode, enc_hook=lambda value: 1)
    await store.events.append("scales", [b'{"$type":"Weighed","sku":"rope","weight":1}'], 0)
    projection = totals(events={Weighed: lambda state, event: Sold(1, 0)}, codec=codec)
    await follow(store, projection)
    assert (len(calls), await content(store, projection)) == (3, {"rope": 1})


class Beside:
    """A store in which something else is done before the first look at the states of a build.

    store: the store. work: the function to await.
    """

    def __init__(self, store: Any, work: Callable[[], Awaitable[None]]) -> None:
        self._store, self._work = store, [work]

    def documents(self, space: str) -> Any:
        documents = self._store.documents(space)
        return documents if space == REGISTRY else StatesBeside(documents, self._work)


class StatesBeside:
    """The states of a build.

    documents: those of the store. work: functions to await before they are read.
    """

    def __init__(self, documents: Any, work: list[Callable[[], Awaitable[None]]]) -> None:
        self._documents, self._work = documents, work

    async def get(self, key: str) -> bytes | None:
        while self._work:
            await self._work.pop()()
        body: bytes | None = await self._documents.get(key)
        return body


async def test_a_reader_beside_a_switch_reads_the_build_that_serves(store: Any) -> None:
    # WM-61
    await record(store, Ordered("1"))
    await follow(store, totals())
    reader: Any = totals().of(Beside(store, partial(rebuild, store, totals())))  # type: ignore[arg-type]
    assert await reader.get("rope") == Sold(1, 1)
    assert await store.documents(space_of("totals", 1)).items() == []
