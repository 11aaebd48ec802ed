"""Following a feed: page by page, then item by item as they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from modd.ports.errors import FeedGap
from modd.ports.feed import Posted
from modd.stores.checks import checked_revision


class FeedPage(NamedTuple):
    """The first items after a position, and the span of the feed, read at one moment.

    first: the position before the first item of the feed. last: the last position. items: the items; none at the end.
    """

    first: int
    last: int
    items: list[Posted]


class FeedFollower:
    """An async iterator over the items of a feed, without an end and without a task; see `modd.ports.Feed.follow`.

    It is a class and not a generator, so that a caller leaves the loop and has nothing to close, and so that it goes on
    after a cancellation.

    read_page: returns the first items after a position; after None, the span alone.
    wait: returns when there may be an item after a position.
    after: the position after which to begin; None for the last one when the first item is awaited.
    known_first: returns a position up to which items are certainly removed, without waiting; a page that was read
        before is dropped then, so that `FeedGap` comes in place of the next item.

    Raises `InvalidOption` for an ``after`` that is no position.
    """

    def __init__(
        self,
        read_page: Callable[[int | None], Awaitable[FeedPage]],
        wait: Callable[[int], Awaitable[None]],
        after: int | None,
        known_first: Callable[[], int],
    ) -> None:
        self._read_page, self._wait, self._known_first = read_page, wait, known_first
        self._after = None if after is None else checked_revision("after", after)
        self._page: list[Posted] = []
        """Items that were read and not returned yet, the next one at the end."""

    def __aiter__(self) -> FeedFollower:
        return self

    async def __anext__(self) -> Posted:
        after = self._after
        if after is None:
            after = self._after = (await self._read_page(None)).last
        if self._known_first() > after:
            self._page.clear()
        while not self._page:
            self._page = (await self._read_after(after))[::-1]
            if not self._page:
                await self._wait(after)
        item = self._page.pop()
        self._after = item.position
        return item

    async def _read_after(self, after: int) -> list[Posted]:
        """Return a page. Raises `FeedGap` if items between the position and the page are missing."""
        first, last, items = await self._read_page(after)
        if not first <= after <= last:
            raise FeedGap(after, first, last)
        return items
