"""The port for feeds: items in one order, stored for a while, that any number of readers follow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from modd.ports.items import Item


class Posted(msgspec.Struct, frozen=True):
    """An item of a feed.

    position: its place in the feed, from 1; later items have higher positions, perhaps with gaps.
    id: the id with which it was put, or the id that the feed chose.
    body: the content, in bytes as they were put.
    headers: texts about the content, such as its type; may be empty.
    key: the key with which it was put; None without one. A feed is in one order anyway.
    at: the time at which it was put, in seconds since 1970.
    """

    position: int
    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    at: float


class Feed(Protocol):
    """Stores items in one order, for a limited time and up to a limited number, for any number of followers.

    Use it for clients that come and go: a client that was away resumes after the last position that it knows. If the
    feed has removed items behind that position, the client gets `modd.ports.FeedGap`, and has to load its state anew.

    Order. Positions count up from 1. As soon as one can be read, all before it can; there may be gaps.

    Ids. An id that the feed has is not put again. Once its item is removed, it is a new id.

    Transactions. A put joins the open transaction; its items get their positions at the commit.
    """

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items at the end, all or none, and return their ids as soon as the items are safe.

        An id that the feed has is returned, and not added again. An item with a delay is `InvalidOption`: put it into a
        queue. So is one with tags, which are for events.
        """
        ...

    def follow(self, after: int | None = None) -> AsyncIterator[Posted]:
        """Return an iterator over the items after a position, in order, each once; it waits for further items for ever.

        It has no task, and nothing to close: cancel it or drop it as you like. After a cancellation it continues with
        the item that was not returned. Use an iterator in one task at a time.

        after: the last position that the caller knows, 0 for none. None, the default, to begin behind the last position
            of the moment in which the first item is awaited; nothing that is put after that moment is missed.

        Raises:
            InvalidOption: ``after`` is not a whole number, 0 or more; when `follow` is called.
            FeedGap: items after the position are removed, or the feed does not reach it. It is raised when an item is
                awaited, in place of the first item that is missing; likewise for a follower that is so slow that items
                are removed before it comes to them.
        """
        ...

    async def span(self) -> tuple[int, int]:
        """Return the position before the first item, and the last position; the same one twice if all are removed.

        A feed without any put returns (0, 0). Each position from the first one returned to the last can be followed.
        """
        ...

    async def epoch(self) -> str:
        """Return 8 to 16 small letters and digits that stay the same until the feed is made anew, from position 1.

        Store it beside a position: in a feed with a different epoch the position means nothing.
        """
        ...
