"""Random histories of a feed in memory against a plain model, also in transactions of which some are dropped."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.ports import FeedGap, Item, Posted
from modd.stores import MemoryStore
from modd.testing.conformance.feed_follow import take
from modd.testing.conformance.storage_parts import outside
from tests.loops import BACKENDS

pytestmark = pytest.mark.slow

EXAMPLES = 2_000 if os.environ.get("MODD_PROFILE") == "long" else 40
RETENTION, MOST = 10, 4


class Model:
    """All items that a feed ever had, each an id and a time: the one at index 0 has position 1."""

    def __init__(self) -> None:
        self.items: list[tuple[str, float]] = []
        self.now = 1_000.0

    @property
    def first(self) -> int:
        """The position before the first item that is stored."""
        expired = sum(at <= self.now - RETENTION for _, at in self.items)
        return max(expired, len(self.items) - MOST, 0)

    def put(self, ids: list[str]) -> None:
        """Add those whose ids are not stored."""
        first = self.first
        for id in ids:
            if all(id != known for known, _ in self.items[first:]):
                self.items.append((id, self.now))

    @property
    def span(self) -> tuple[int, int]:
        """The position before the first item, and the last one."""
        return self.first, len(self.items)


class Both:
    """A feed and the model, which do the same steps."""

    def __init__(self) -> None:
        self.model = Model()
        self.store = MemoryStore(clock=lambda: self.model.now)
        self.feed = self.store.feed("public", RETENTION, MOST)
        self._slow, self._after = self.feed.follow(0), 0

    async def put(self, ids: list[str]) -> None:
        assert await self.feed.put(*[Item(id.encode(), id=id) for id in ids]) == ids
        self.model.put(ids)

    async def tick(self, seconds: int) -> None:
        self.model.now += seconds

    async def look(self, after: int) -> None:
        """A new follower has all items behind its position, or a gap."""
        first, last = self.model.span
        assert await self.feed.span() == (first, last)
        if first <= after <= last:
            self._check(await take(self.feed.follow(after), last - after), after)
            return
        with pytest.raises(FeedGap) as gap:
            await take(self.feed.follow(after), 1)
        assert (gap.value.after, gap.value.first, gap.value.last) == (after, first, last)

    async def go_on(self, number: int) -> None:
        """A follower that is slow has the next items, or a gap if some are removed; then it begins anew."""
        first, last = self.model.span
        try:
            items = await take(self._slow, min(number, last - self._after))
        except FeedGap:
            assert self._after < first
            self._slow, self._after = self.feed.follow(first), first
        else:
            self._check(items, self._after)
            self._after += len(items)

    def _check(self, items: list[Posted], after: int) -> None:
        expected = [
            (position, id, at)
            for position, (id, at) in enumerate(self.model.items, start=1)
            if after < position <= after + len(items)
        ]
        assert [(item.position, item.id, item.at) for item in items] == expected
        assert all(item.body == item.id.encode() for item in items)


class Dropped(Exception):
    """Ends a transaction that is not to be kept."""


ids = st.lists(st.sampled_from("abcdefg"), max_size=6)
puts = st.tuples(st.just("put"), ids)
ticks = st.tuples(st.just("tick"), st.integers(1, 12))
steps = puts | ticks | st.tuples(st.just("look"), st.integers(0, 12)) | st.tuples(st.just("go_on"), st.integers(1, 4))
blocks = st.tuples(st.sampled_from(["alone", "kept", "dropped"]), st.booleans(), st.lists(steps, max_size=6))


async def transact(both: Both, is_kept: bool, immediate: bool, inside: list[Any]) -> None:
    before = deepcopy(both.model)
    try:
        async with outside() as do, both.store.transaction(immediate=immediate, max_seconds=600):
            for name, argument in inside:
                if name == "put" and not immediate:
                    await both.feed.put(*[Item(id.encode(), id=id) for id in argument])
                elif name in ("put", "tick"):
                    await getattr(both, name)(argument)
            before.now = both.model.now
            assert await do(both.feed.span) == before.span
            if not is_kept:
                raise Dropped
    except* Dropped:
        both.model = before
    else:
        for name, argument in inside:
            if name == "put" and not immediate:  # at the commit
                both.model.put(argument)


async def run(history: list[Any]) -> None:
    both = Both()
    for kind, immediate, inside in history:
        if kind != "alone":
            await transact(both, kind == "kept", immediate, inside)
            continue
        for name, argument in inside:
            await getattr(both, name)(argument)
    for after in range(len(both.model.items) + 2):
        await both.look(after)
    assert set(both.feed._positions.values()) <= set(both.feed._items)


@settings(max_examples=EXAMPLES)
@given(history=st.lists(blocks, max_size=8))
def test_a_feed_in_memory_has_what_the_model_has(history: list[Any]) -> None:
    # FE-1, FE-2, FE-3, FE-4, FE-5, FE-6
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
