"""The rows of feeds in the database, and the operations on them.

Each feed has a row in ``modd.feeds``, which a put locks until its commit: so positions have no gaps, and as soon as one
can be read, all before it can. Times rise with the positions: if the clock is set back, items get the time of the item
before.

An item is *removed* as soon as it is one too many or too old. It may stay in the table for a while, because a put and
the `ExpirySweeper` delete few at a time; ``first`` in ``modd.feeds`` is the position up to which they have deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from secrets import token_hex

from modd.stores.lease import LARGEST
from modd.stores.paging import PAGE
from modd.stores.postgres.base import NOW
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import EncodedItem, encode_text, item_columns

LOCK = "SELECT last FROM modd.feeds WHERE number = %s FOR UPDATE"


REGISTER = """INSERT INTO modd.feeds (number, name, epoch, first, last, at) VALUES (%s, %s, %s, 0, 0, 0)
    ON CONFLICT (number) DO NOTHING"""


EPOCH = "SELECT epoch FROM modd.feeds WHERE number = %s"


LAST_POSITION = "SELECT last FROM modd.feeds WHERE number = %s"


# the time is in a query of its own, so that it is asked for once, and the index searched for it
SPAN = f"""SELECT greatest(first, last - %s, coalesce((SELECT position - 1 FROM modd.feed_items
        WHERE feed = number AND at > (SELECT {NOW} - %s) ORDER BY at, position LIMIT 1), last)) AS first, last
    FROM modd.feeds WHERE number = %s"""


ITEMS = f"""SELECT span.first, span.last, item.position, item.id, item.body, item.headers, item.key, item.at
    FROM ({SPAN}) AS span LEFT JOIN LATERAL (SELECT position, id, body, headers, key, at FROM modd.feed_items
        WHERE feed = %s AND position > %s AND %s >= span.first ORDER BY position LIMIT {PAGE}) AS item ON true
    ORDER BY item.position"""


INSERT = f"""INSERT INTO modd.feed_items (feed, position, at, id, key, headers, body)
    SELECT feed.number, feed.last + row_number() OVER (ORDER BY item.number), greatest(feed.at, (SELECT {NOW})),
        item.id, item.key, item.headers, item.body
    FROM modd.feeds AS feed, unnest(%s::bytea[], %s::bytea[], %s::bytea[], %s::bytea[])
        WITH ORDINALITY AS item (id, key, headers, body, number)
    WHERE feed.number = %s AND NOT EXISTS (SELECT FROM modd.feed_items AS old
        WHERE old.feed = feed.number AND sha256(old.id) = sha256(item.id) AND old.position > %s)
    RETURNING position, at"""


SET_LAST = "UPDATE modd.feeds SET last = %s, at = %s WHERE number = %s"


SET_FIRST = f"""UPDATE modd.feeds AS feed SET first = least(feed.first + %s, span.first) FROM ({SPAN}) AS span
    WHERE feed.number = %s AND feed.first < span.first RETURNING feed.first"""


DELETE = "DELETE FROM modd.feed_items WHERE feed = %s AND position <= %s"


DELETE_EACH = 256
"""A put deletes removed items when it passes a multiple of this position: at most twice as many as were put since."""


def feed_number(name: str) -> int:
    """Return the number that stands for a feed: 48 bits of a hash of its name, known without a query."""
    return int.from_bytes(blake2b(encode_text(name), digest_size=6).digest(), "big")


class FeedTable:
    """The operations of one feed, and the statements that read it.

    name: its name. retention: seconds for which an item is stored. most: most items that are stored.
    """

    def __init__(self, name: str, retention: float, most: int) -> None:
        self.name, self.most, self.number = name, most, feed_number(name)
        self.channel = f"feed/{self.number}"
        self._span = min(most, LARGEST), retention, self.number

    def select_span(self) -> Select:
        """Return the statement for the position before the first item, and the last position; no row before a put."""
        return Select(SPAN, self._span, title="the span of a feed")

    def select_items(self, after: int) -> Select:
        """Return the statement for a page after a position: rows of the span and an item, one without if there is none.

        There are no items in a gap.
        """
        position = min(after, LARGEST)
        return Select(ITEMS, (*self._span, self.number, position, position), title="the items of a feed")

    def select_last(self) -> Select:
        """Return the statement for the last position."""
        return Select(LAST_POSITION, (self.number,), title="the last position of a feed")

    def select_epoch(self) -> Select:
        """Return the statement for the epoch."""
        return Select(EPOCH, (self.number,), title="the epoch of a feed")

    async def put(self, session: Session, rows: Sequence[EncodedItem]) -> int:
        """Insert items, except those whose id the feed has; return a position up to which items are removed then."""
        await self._lock(session)
        [[first, last]] = await session.rows(SPAN, self._span)
        unique: dict[str, EncodedItem] = {}
        for row in rows:
            unique.setdefault(row.id, row)
        added = await session.rows(INSERT, (*item_columns(unique.values()), self.number, first))
        end, at = max(added, default=(last, 0.0))
        if added:
            await session.count(SET_LAST, (end, at, self.number))
        if last // DELETE_EACH < end // DELETE_EACH:
            await self.delete_removed(session, 2 * max(DELETE_EACH, end - last))
        session.note(*unique)
        session.tell(self.channel)
        return int(max(first, end - self.most))

    async def create_epoch(self, session: Session) -> str:
        """Return the epoch of the feed, which the first call creates."""
        await self._lock(session)
        [[epoch]] = await session.rows(EPOCH, (self.number,))
        return str(epoch)

    async def delete_removed(self, session: Session, limit: int) -> int:
        """Delete removed items, up to a limit, and return their number."""
        await session.rows(LOCK, (self.number,))
        rows = await session.rows(SET_FIRST, (limit, *self._span, self.number))
        return await session.count(DELETE, (self.number, rows[0][0])) if rows else 0

    async def _lock(self, session: Session) -> None:
        """Lock the row of the feed, which is created if the database does not have it."""
        if not await session.rows(LOCK, (self.number,)):
            await session.count(REGISTER, (self.number, encode_text(self.name), token_hex(6)))
            await session.rows(LOCK, (self.number,))
