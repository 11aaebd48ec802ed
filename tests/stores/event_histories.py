"""Random histories of an event store, and how each is done to a store and to a plain model of one."""

from __future__ import annotations

from copy import deepcopy
from operator import or_
from typing import Any

import pytest
from hypothesis import strategies as st

from modd.ports import EventStore, Item, QueryConflict, RevisionConflict, Snapshot, Tagged

streams, revisions = st.sampled_from("abc"), st.integers(0, 4)
typed = st.sampled_from([[], ["T"], ["T", "U"], ["U"]])
headers = st.one_of(st.dictionaries(st.text(max_size=2), st.text(max_size=2)), st.just({"type": "T"}))
tags = st.lists(st.sampled_from("xyz"), max_size=3).map(tuple)
events = st.lists(st.builds(Item, st.binary(max_size=2), headers, tags=tags))
single = st.builds(lambda tags, types: Tagged(*tags, types=types), st.sets(st.sampled_from("xyz"), min_size=1), typed)
queries = st.one_of(single, st.builds(or_, single, single))
steps = st.one_of(
    st.tuples(st.just("append_where"), streams, events, queries, st.integers(0, 20)),
    st.tuples(st.just("read_where"), queries, st.integers(0, 20)),
    st.tuples(st.just("append"), streams, events, st.sampled_from([0, 0, 0, -1, 1])),
    st.tuples(st.just("save"), streams, revisions, st.binary(max_size=2)),
    st.tuples(st.just("read"), streams, revisions),
)


class ModelStore:
    """What an event store is, said as plainly as possible: one list, looked through each time."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Item]] = []
        self.saved: list[tuple[str, int, bytes]] = []

    def of(self, stream: str) -> list[Item]:
        return [item for name, item in self.events if name == stream]

    def read(self, stream: str, after: int) -> list[Any]:
        return [
            (revision, item.body, item.headers) for revision, item in enumerate(self.of(stream), 1) if revision > after
        ]

    def read_all(self, after: int) -> list[Any]:
        numbered = enumerate(self.events, 1)
        return [(position, name, item.body, item.headers) for position, (name, item) in numbered if position > after]

    def read_where(self, query: Tagged, after: int) -> list[int]:
        matches = [position for position, (_, item) in enumerate(self.events, 1) if query.matches(item)]
        return [position for position in matches if position > after]

    def snapshot(self, stream: str) -> tuple[int, bytes] | None:
        saved = [(revision, body) for name, revision, body in self.saved if name == stream]
        latest = max((revision for revision, _ in saved), default=None)
        return next((each for each in reversed(saved) if each[0] == latest), None)


class Both:
    """An event store and the model of one, to which the same is done."""

    def __init__(self, store: EventStore) -> None:
        self.store, self.model = store, ModelStore()

    async def append(self, stream: str, items: list[Item], off: int) -> None:
        actual = len(self.model.of(stream))
        expected = max(actual + off, 0)
        if expected == actual:
            assert await self.store.append(stream, items, expected) == actual + len(items)
            self.model.events += [(stream, item) for item in items]
            return
        with pytest.raises(RevisionConflict) as conflict:
            await self.store.append(stream, items, expected)
        assert (conflict.value.expected, conflict.value.actual) == (expected, actual)

    async def append_where(self, stream: str, items: list[Item], query: Tagged, after: int) -> None:
        matches = self.model.read_where(query, after)
        if not matches:
            assert await self.store.append_where(stream, items, query, after) == len(self.model.events) + len(items)
            self.model.events += [(stream, item) for item in items]
            return
        with pytest.raises(QueryConflict) as conflict:
            await self.store.append_where(stream, items, query, after)
        assert conflict.value.position == matches[0]

    async def read_where(self, query: Tagged, after: int) -> None:
        found = [(each.position, each.body, each.headers) async for each in self.store.read_where(query, after)]
        everything = await self.store.page(0, 1_000)
        assert found == [everything[position - 1] for position in self.model.read_where(query, after)]

    async def save(self, stream: str, revision: int, body: bytes) -> None:
        await self.store.save_snapshot(stream, revision, body)
        self.model.saved.append((stream, revision, body))

    async def read(self, stream: str, after: int) -> None:
        read = [(each.revision, each.body, each.headers) async for each in self.store.read(stream, after)]
        assert read == self.model.read(stream, after)
        bodies = [body for _, page in [page async for page in self.store.pages(stream, after)] for body in page]
        assert bodies == [body for _, body, _ in read]
        everything = [event async for event in self.store.read_all(after)]
        read_all = [(each.position, each.stream, each.body, each.headers) for each in everything]
        assert read_all == self.model.read_all(after)
        page = [(position, body, headers) for position, _, body, headers in read_all]
        assert (await self.store.page(after, 3), await self.store.last()) == (page[:3], len(self.model.events))
        assert taken(await self.store.snapshot(stream)) == self.model.snapshot(stream)


def taken(snapshot: Snapshot | None) -> tuple[int, bytes] | None:
    return None if snapshot is None else (snapshot.revision, snapshot.body)


blocks = st.tuples(st.sampled_from(["alone", "kept", "dropped"]), st.lists(steps, max_size=6))
"""Steps outside of a transaction, or in one that is kept or not."""


class Dropped(Exception):
    """Ends a transaction that is not to be kept."""


async def do(both: Both, history: list[Any]) -> None:
    for name, *arguments in history:
        await getattr(both, name)(*arguments)


async def do_blocks(store: Any, history: list[tuple[str, list[Any]]]) -> None:
    """Do histories to the events of a store with transactions, of which some are dropped."""
    both = Both(store.events)
    for kind, each in history:
        if kind == "alone":
            await do(both, each)
            continue
        before = deepcopy(both.model)
        try:
            async with store.transaction(immediate=True, max_seconds=600):
                await do(both, each)
                if kind == "dropped":
                    raise Dropped
        except Dropped:
            both.model = before
    await do(both, [("read", stream, 0) for stream in "abc"])
