"""A feed in the file."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import anyio

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import spread
from modd.ports.feed import Posted
from modd.ports.items import Item
from modd.stores.checks import checked_feed_item
from modd.stores.feed_follower import FeedFollower, FeedPage
from modd.stores.paging import PAGE
from modd.stores.sqlite.base import LOOK_JITTER, Autocommit, Store, StorePart
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.feed_operations import FeedOperations, FeedRow
from modd.stores.sqlite.feed_sql import EPOCH, LAST_POSITION, SelectPage, SelectSpan
from modd.stores.sqlite.limits import LARGEST_VALUE, checked_item
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Connection, decode_headers, encode_headers
from modd.stores.waiting import Notifier, SupportsWake

POLL = 0.04
"""Seconds between two looks of a follower for items of other processes; with `LOOK_JITTER` at most 0.05."""


EPOCH_COLUMNS, POSITION_COLUMNS = Columns(epoch=str), Columns(position=int)


LONGEST_WAIT = 3_600.0
"""Seconds after which a follower reads again, although no item came."""


def next_poll() -> float:
    """Return the time of the loop at which a follower looks again."""
    return anyio.current_time() + spread(POLL, LOOK_JITTER)


class SqliteFeed(StorePart):
    """A `modd.ports.Feed` in the file of a `SqliteStore`: ``store.feed("public")``.

    Positions have no gaps. A follower hears at once of an item that this process has put, and within 0.05 seconds of
    one that a different process has put. The time to put an item and to read a page does not grow with the number of
    items.

    Items that are too old or too many are removed at once for every reader that gives the same ``retention`` and
    ``most``. They are deleted from the file later, in small steps, by a store that has called ``feed`` with the name.
    """

    def __init__(self, store: Store, name: str, retention: float, most: int, news: set[SupportsWake]) -> None:
        super().__init__(store)
        self.name, self.retention, self.most = name, checked_span("retention", retention), checked_count("most", most)
        self._operations = FeedOperations(name, self.retention, self.most, partial(news.add, self))
        # bound once: the writer groups calls by operation, and each access would make another bound method
        self._put, self._create_epoch = self._operations.put, self._operations.epoch
        self._notifier = Notifier()
        self._end = -1, 0
        """The last position behind which a read found nothing, and the `count` of the notifier before."""

    def __repr__(self) -> str:
        return f"<SqliteFeed {self.name} in {self._store.name}>"

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items at the end, all or none, and return their ids; an id that the feed has is not added again."""
        access = self._store.access("put")
        # a body that fits is told from the rest without a call, which would take a twentieth of the time of a put
        rows = [item if type(item) is bytes and len(item) <= LARGEST_VALUE else _to_row(item) for item in items]
        if not rows:
            return []
        if not access.is_deferred:
            ids: list[str] = await access.write(self._put, rows, self._store.clock())
            return ids
        with_ids = [_with_id(row) for row in rows]  # made here, because there is no result before the commit
        await access.write(self._put, with_ids, self._store.clock())
        return [str(row.id) for row in with_ids]

    def follow(self, after: int | None = None) -> FeedFollower:
        """Return an iterator over the items after a position, then over those that come; None: from now on."""
        operations = self._operations
        return FeedFollower(self._read_page, self._wait, after, lambda: operations.known_first)

    async def span(self) -> tuple[int, int]:
        """Return the position before the first item, and the last position."""
        query = SelectSpan(self._operations.number, self.most, self._until())
        [[first, last]] = await self._store.access("span").read(query)
        return first, last

    async def epoch(self) -> str:
        """Return 12 letters and digits that the feed keeps as long as the file has it."""
        access = self._store.access("epoch", at_once=True)
        rows = await access.read(Select(EPOCH, (self._operations.number,), columns=EPOCH_COLUMNS))
        return str(rows[0][0] if rows else await access.write(self._create_epoch))

    def delete_removed(self, connection: Connection, now: float, limit: int) -> int:
        """Delete removed items, up to a limit, and return their number; called in the writer's thread."""
        return self._operations.delete_removed(connection, now, limit)

    def wake(self) -> None:
        """Wake the followers, after a commit that may have left more for them."""
        self._notifier.notify()

    def _until(self) -> float:
        """Return the time up to which items are too old."""
        return self._store.clock() - self.retention

    async def _read_page(self, after: int | None) -> FeedPage:
        number, until, count = self._operations.number, self._until(), self._notifier.count
        query = (
            SelectSpan(number, self.most, until) if after is None else SelectPage(number, self.most, until, after, PAGE)
        )
        # outside of a transaction that defers its writes, whose reads would see no later item
        access = self._store.access("follow", at_once=True)
        [(first, last), *rows] = await access.read(query)
        if isinstance(access, Autocommit):
            self._end = last, count
        with translate_errors(self._store.name):
            return FeedPage(first, last, [_to_posted(*row) for row in rows])

    async def _wait(self, after: int) -> None:
        async def has_more() -> bool:
            rows = await self._store.access("follow", at_once=True).read(
                Select(LAST_POSITION, (self._operations.number,), columns=POSITION_COLUMNS)
            )
            return bool(rows) and bool(rows[0][0] != after)

        # without a look where the last read has told that there is nothing, because a look costs half a commit
        is_at_end = self._end == (after, self._notifier.count)
        await self._notifier.wait(LONGEST_WAIT, has_more, next_poll, is_empty=is_at_end, trust_notify=True)


def _to_row(value: bytes | Item) -> FeedRow:
    item = checked_item(checked_feed_item(value))
    return FeedRow(item.id, item.key, encode_headers(item.headers), item.body)


def _with_id(row: bytes | FeedRow) -> FeedRow:
    if isinstance(row, bytes):
        return FeedRow(uuid4().hex, None, None, row)
    return row if row.id is not None else row._replace(id=uuid4().hex)


def _to_posted(position: int, id: str, body: bytes, headers: bytes | None, key: str | None, at: float) -> Posted:
    return Posted(position, id, body, decode_headers(headers), key, at)
