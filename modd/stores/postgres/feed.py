"""A feed in the database."""

from __future__ import annotations

from math import inf

from modd.checks import checked_count, checked_span
from modd.ports.feed import Posted
from modd.ports.items import Item
from modd.stores.checks import checked_feed_item
from modd.stores.feed_follower import FeedFollower, FeedPage
from modd.stores.postgres.base import NotifiedPart, Store
from modd.stores.postgres.feed_operations import FeedTable
from modd.stores.postgres.values import decode_headers, decode_optional, decode_text, encode_item

LONGEST_WAIT = 3_600.0
"""Seconds after which a follower reads again, although no item came."""


class PostgresFeed(NotifiedPart):
    """A `modd.ports.Feed` in the database of a `PostgresStore`: ``store.feed("public")``.

    Positions have no gaps. A follower hears at once of an item that any process has put; without ``listen``, of one
    that a different process has put within ``poll`` seconds. Puts into one feed are committed one after another.

    Items that are too old or too many are removed at once for every reader that gives the same ``retention`` and
    ``most``. They are deleted from the table later, in small steps, by a store that has called ``feed`` with the name.
    """

    def __init__(self, store: Store, name: str, retention: float, most: int) -> None:
        self.name, self.retention, self.most = name, checked_span("retention", retention), checked_count("most", most)
        self.operations = FeedTable(name, self.retention, self.most)
        super().__init__(store, self.operations.channel)
        self._known_first = 0
        """A position up to which items are removed, as far as this process knows; not exact after a rollback."""

    def __repr__(self) -> str:
        return f"<PostgresFeed {self.name} in {self._store.name}>"

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items at the end, all or none, and return their ids; an id that the feed has is not added again."""
        access = self._store.access("put")
        rows = [encode_item(checked_feed_item(item)) for item in items]
        if rows:
            first: int | None = await access.write(self.operations.put, rows)
            self._known_first = max(self._known_first, first or 0)
        return [row.id for row in rows]

    def follow(self, after: int | None = None) -> FeedFollower:
        """Return an iterator over the items after a position, then over those that come; None: from now on."""
        return FeedFollower(self._read_page, self._wait_for_more, after, lambda: self._known_first)

    async def span(self) -> tuple[int, int]:
        """Return the position before the first item, and the last position."""
        rows = await self._store.access("span").read(self.operations.select_span())
        first, last = rows[0] if rows else (0, 0)
        return first, last

    async def epoch(self) -> str:
        """Return 12 letters and digits that the feed keeps as long as the database has it."""
        access = self._store.access("epoch", at_once=True)
        rows = await access.read(self.operations.select_epoch())
        return str(rows[0][0] if rows else await access.write(self.operations.create_epoch))

    async def _read_page(self, after: int | None) -> FeedPage:
        # outside of a transaction that defers its writes, whose reads would see no later item
        access = self._store.access("follow", at_once=True)
        operations = self.operations
        rows = await access.read(operations.select_span() if after is None else operations.select_items(after))
        first, last = rows[0][:2] if rows else (0, 0)
        self._known_first = first
        return FeedPage(first, last, [to_posted(*row[2:]) for row in rows if row[2:] and row[2] is not None])

    async def _wait_for_more(self, after: int) -> None:
        async def seconds_left() -> float:
            rows = await self._store.access("follow", at_once=True).read(self.operations.select_last())
            return 0.0 if rows and rows[0][0] != after else inf

        await self._wait(LONGEST_WAIT, seconds_left)


def to_posted(position: int, id: bytes, body: bytes, headers: bytes | None, key: bytes | None, at: float) -> Posted:
    """Return an item of the feed from its row."""
    return Posted(position, decode_text(id), body, decode_headers(headers), decode_optional(key), at)
