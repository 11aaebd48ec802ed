"""A feed in the memory of this process."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import inf
from time import time
from uuid import uuid4

from anyio.lowlevel import checkpoint

from modd.checks import checked_callable, checked_count, checked_span
from modd.ports.feed import Posted
from modd.ports.items import Item
from modd.stores.checks import checked_feed_item
from modd.stores.feed_follower import FeedFollower, FeedPage
from modd.stores.memory.access import Alone, MemoryOwner
from modd.stores.paging import PAGE
from modd.stores.waiting import Notifier

STEP = 256
"""Items that a put removes at most, besides one for each item that it adds."""

LONGEST_WAIT = 3_600.0
"""Seconds after which a follower looks again, although nothing woke it."""


class MemoryFeed:
    """A `modd.ports.Feed` of this process, for tests and for clients that load anew when the process was restarted.

    The time of an item is never before that of an earlier item, even if the clock is set back.

    retention: seconds for which an item is stored, a day by default.
    most: most items that are stored, 100 000 by default; the oldest are removed first.
    clock: a function that returns seconds since 1970; ``time.time`` by default.
    owner: the `MemoryStore` that it is a part of; None, the default, for a feed alone.

    Raises:
        InvalidOption: an option has a value that cannot work.
    """

    def __init__(
        self,
        *,
        retention: float = 86_400.0,
        most: int = 100_000,
        clock: Callable[[], float] = time,
        owner: MemoryOwner | None = None,
    ) -> None:
        self.options = checked_span("retention", retention), checked_count("most", most)
        """The retention and the most items."""
        self._clock, self._owner = checked_callable("clock", clock), owner or Alone()
        self._notifier, self._epoch = Notifier(), uuid4().hex[:16]
        self._items: dict[int, Posted] = {}
        """The items by position, without gaps; also expired ones that no put has removed yet."""
        self._positions: dict[str, int] = {}
        """The last position of each id."""
        self._removed = self._last = 0
        """The positions of the last item that was removed, and of the last item."""

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items at the end, all or none, and return their ids; an id that the feed has is not added again."""
        checked = [checked_feed_item(item) for item in items]
        ids = [uuid4().hex if item.id is None else item.id for item in checked]
        await self._owner.access("put").write(self._put, checked, ids)
        return ids

    def follow(self, after: int | None = None) -> FeedFollower:
        """Return an iterator over the items after a position, then over those that come; None: from now on."""
        return FeedFollower(self._read_page, self._wait, after, lambda: self._removed)

    async def span(self) -> tuple[int, int]:
        """Return the position before the first item, and the last position."""
        return await self._owner.access("span").read("the span of the feed", self._span)

    async def epoch(self) -> str:
        """Return 16 letters and digits that no other feed has."""
        await checkpoint()
        return self._epoch

    async def _read_page(self, after: int | None) -> FeedPage:
        access = self._owner.access("follow", at_once=True)
        return await access.read("the items of the feed", self._page, after)

    async def _wait(self, after: int) -> None:
        async def look() -> bool:
            access = self._owner.access("follow", at_once=True)
            return (await access.read("the span of the feed", self._span))[1] > after

        await self._notifier.wait(LONGEST_WAIT, look, lambda: inf)

    def _page(self, after: int | None) -> FeedPage:
        first, last = self._span()
        if after is None or after < first:
            return FeedPage(first, last, [])
        return FeedPage(first, last, [self._copy(each) for each in range(after + 1, min(after + PAGE, last) + 1)])

    def _copy(self, position: int) -> Posted:
        item = self._items[position]
        return Posted(position, item.id, item.body, item.headers.copy(), item.key, item.at)

    def _span(self) -> tuple[int, int]:
        return self._first(self._clock()), self._last

    def _first(self, now: float) -> int:
        """Return the position before the first item that is neither expired nor one too many."""
        retention, most = self.options
        first, until = max(self._removed, self._last - most), now - retention
        if first < self._last and self._time_of(first + 1) <= until:
            return first + bisect_right(range(first + 1, self._last + 1), until, key=self._time_of)
        return first

    def _time_of(self, position: int) -> float:
        return self._items[position].at

    def _put(self, items: Sequence[Item], ids: Sequence[str]) -> None:
        now = self._clock()
        first = self._first(now)
        at = max(now, self._time_of(self._last)) if self._last > self._removed else now
        self._owner.undo_log.keep(self._bounds, self._set_bounds, None)
        for item, id in zip(items, ids, strict=True):
            if self._positions.get(id, 0) <= first:
                self._last += 1
                self._replace(self._last, Posted(self._last, id, item.body, item.headers.copy(), item.key, at))
        self._remove(min(self._first(now), self._removed + len(items) + STEP))
        self._notifier.notify()
        self._owner.undo_log.wake_at_end(self._notifier)

    def _remove(self, until: int) -> None:
        for position in range(self._removed + 1, until + 1):
            self._replace(position, None)
        self._removed = until

    def _replace(self, position: int, item: Posted | None) -> None:
        self._owner.undo_log.keep(self._items.get, self._set_item, position)
        self._set_item(position, item)

    def _set_item(self, position: int, item: Posted | None) -> None:
        if item is not None:
            self._items[position], self._positions[item.id] = item, position
            return
        id = self._items.pop(position).id
        if self._positions[id] == position:  # the id was not put again since
            del self._positions[id]

    def _bounds(self, _: None) -> tuple[int, int]:
        return self._removed, self._last

    def _set_bounds(self, _: None, bounds: tuple[int, int]) -> None:
        self._removed, self._last = bounds
