"""The rows of feeds in the file, and the statements that read them.

Each feed has a row in ``modd_feeds``, and its items are in ``modd_feed_items``, at positions without gaps, in the order
of their times: if the clock is set back, items get the time of the item before. An item is *removed* as soon as it is
one too many or too old. It may stay in the table for a while, because a put and the `Sweeper` delete few at a time;
``first`` in ``modd_feeds`` is the position up to which they have deleted.

An item that was put without an id is called by the epoch of its feed and its position, such as ``9f0c17a2b4d1-24``, and
has no id in the table: an index of random ids would take more time than the item.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

from modd.stores.sqlite.damage import Columns, Damage
from modd.stores.sqlite.savepoint import one_state
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Connection

# the last position is written only when items are deleted, so that a put changes one row less
LAST = "max(last, coalesce((SELECT max(position) FROM modd_feed_items WHERE feed = number), 0))"


LAST_POSITION = f"SELECT {LAST} FROM modd_feeds WHERE number = ?"


STATE = f"""SELECT first, {LAST},
    coalesce((SELECT at FROM modd_feed_items WHERE feed = number ORDER BY position DESC LIMIT 1), 0.0), epoch
    FROM modd_feeds WHERE number = ?"""


STATE_COLUMNS = Columns(first=int, last=int, at=float, epoch=str)


EPOCH = "SELECT epoch FROM modd_feeds WHERE number = ?"


TIME = "SELECT at FROM modd_feed_items WHERE feed = ? AND position = ?"


ITEMS = """SELECT position, coalesce(id, ? || '-' || position), body, headers, key, at FROM modd_feed_items
    WHERE feed = ? AND position > ? ORDER BY position LIMIT ?"""


ITEM_COLUMNS = Columns(position=int, id=str, body=bytes, headers=bytes | None, key=str | None, at=float)


class FeedState(NamedTuple):
    """The state of a feed in the file.

    first: the position before the first item in the table. last: the last position. at: the time of the last item in
    the table; 0 if there is none. epoch: that of the feed.
    """

    first: int
    last: int
    at: float
    epoch: str


def read_state(connection: Connection, feed: int) -> FeedState | None:
    """Return the state of a feed; None if the file does not have it. Raises `Damage`."""
    rows = STATE_COLUMNS.check(connection.execute(STATE, (feed,)).fetchall())
    return FeedState(*rows[0]) if rows else None


class Span(NamedTuple):
    """The first and the last item of a feed that are not removed.

    first: the position before the first item. last: the last position. at: the time of the first item; 0 if there
    is none.
    """

    first: int
    last: int
    at: float


def find_span(connection: Connection, feed: int, state: FeedState, most: int, until: float) -> Span:
    """Return the span of a feed without items that are too many, or not later than ``until``. Raises `Damage`."""

    def time_of(position: int) -> float:
        rows = connection.execute(TIME, (feed, position)).fetchall()
        if not rows or type(rows[0][0]) is not float:
            raise Damage(f"item {position} of a feed is missing, or has no time")
        return float(rows[0][0])

    first = max(state.first, state.last - most)
    if first == state.last:
        return Span(first, first, 0.0)
    at = time_of(first + 1)
    if at > until:
        return Span(first, state.last, at)
    first += bisect_right(range(first + 1, state.last + 1), until, key=time_of)
    return Span(first, state.last, time_of(first + 1) if first < state.last else 0.0)


class SelectSpan(Select):
    """The span of a feed: one row of the position before the first item, and the last position."""

    __slots__ = ("_feed", "_most", "_until")

    def __init__(self, feed: int, most: int, until: float) -> None:
        super().__init__(STATE, (feed,), title="the span of a feed")
        self._feed, self._most, self._until = feed, most, until

    def execute(self, connection: Connection) -> list[Any]:
        """Return the only row. Raises `Damage`."""
        with one_state(connection):
            return [self.read(connection)[:2]]

    def read(self, connection: Connection) -> tuple[int, int, str]:
        """Return the position before the first item, the last position, and the epoch. Raises `Damage`."""
        state = read_state(connection, self._feed)
        if state is None:
            return 0, 0, ""
        span = find_span(connection, self._feed, state, self._most, self._until)
        return span.first, span.last, state.epoch


class SelectPage(SelectSpan):
    """The first items of a feed after a position, up to a limit, behind a row with its span; no items in a gap."""

    __slots__ = ("_after", "_limit")

    def __init__(self, feed: int, most: int, until: float, after: int, limit: int) -> None:
        super().__init__(feed, most, until)
        self._after, self._limit = after, limit

    def execute(self, connection: Connection) -> list[Any]:
        """Return the row with the span, and a row for each item. Raises `Damage`."""
        with one_state(connection):
            first, last, epoch = self.read(connection)
            if not first <= self._after < last:
                return [(first, last)]
            parameters = epoch, self._feed, self._after, self._limit
            rows = ITEM_COLUMNS.check(connection.execute(ITEMS, parameters).fetchall())
        end = min(self._after + self._limit, last)
        if [row[0] for row in rows] != [*range(self._after + 1, end + 1)]:
            raise Damage(f"items of a feed between {self._after + 1} and {end} are missing")
        return [(first, last), *rows]
