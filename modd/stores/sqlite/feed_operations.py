"""The operations of a feed: they run in the writer's thread, inside its transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any, NamedTuple

from modd.stores.item_ids import queue_number
from modd.stores.sqlite.feed_sql import FeedState, Span, find_span, read_state
from modd.stores.sqlite.sql import BulkInsert, CallArgs, Connection

INSERT = BulkInsert("INSERT INTO modd_feed_items (feed, position, at, id, key, headers, body)", "(?, ?, ?, ?, ?, ?, ?)")


REGISTER = "INSERT INTO modd_feeds (number, name, epoch, first, last) VALUES (?, ?, ?, 0, 0)"


POSITION_OF = "SELECT max(position) FROM modd_feed_items WHERE feed = ? AND id = ?"


WITHOUT_ID = "SELECT 1 FROM modd_feed_items WHERE feed = ? AND position = ? AND id IS NULL"


MOST_DIGITS = 18
"""Most digits of a position, far below the largest number of SQLite."""


DELETE = "DELETE FROM modd_feed_items WHERE feed = ? AND position <= ?"


SET_FIRST = "UPDATE modd_feeds SET first = ?, last = ? WHERE number = ?"


DELETE_EACH = 256
"""A put deletes removed items when it passes a multiple of this position: at most twice as many as were put since."""


class FeedRow(NamedTuple):
    """An item to put that has more than a body. id: None to have the feed choose one."""

    id: str | None
    key: str | None
    headers: bytes | None
    body: bytes


class FeedOperations:
    """The operations of one feed.

    name: its name. retention: seconds for which an item is stored. most: most items that are stored.
    tell_news: called, in the writer's thread, if there may be more items after the next commit.
    """

    def __init__(self, name: str, retention: float, most: int, tell_news: Callable[[], None]) -> None:
        self.name, self.retention, self.most = name, retention, most
        self.number, self._tell_news = queue_number(name), tell_news
        self.known_first = 0
        """A position up to which items are removed, as far as this process knows; not exact after a rollback."""
        self._first_time = 0.0
        """The time of the item behind it; 0 if it is not known."""

    def put(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Insert items, except those whose id the feed has, and return the ids of each call.

        Each call has items, which are `FeedRow`s or bodies, and the time now.
        """
        self._tell_news()
        state, now = self._register(connection), calls[-1][1]
        number, last, at, epoch = self.number, state.last, max(now, state.at), state.epoch
        is_new = self._new_ids(connection, state, now)
        values: list[Any] = []
        results: list[list[str]] = []
        for rows, _ in calls:
            ids: list[str] = []
            for row in rows:
                id, key, headers, body = (None, None, None, row) if type(row) is bytes else row
                if id is None or is_new(id):
                    last += 1
                    values += (number, last, at, id, key, headers, body)
                ids.append(f"{epoch}-{last}" if id is None else id)
            results.append(ids)
        INSERT.run(connection, values)
        self._remove_after_put(connection, state, state._replace(last=last, at=at), now)
        return results

    def epoch(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[str]:
        """Return the epoch of the feed, which the first call creates."""
        return [self._register(connection).epoch] * len(calls)

    def delete_removed(self, connection: Connection, now: float, limit: int) -> int:
        """Delete removed items, up to a limit, and return their number."""
        state = read_state(connection, self.number)
        return 0 if state is None else self._delete(connection, state, self._find_span(connection, state, now), limit)

    def _register(self, connection: Connection) -> FeedState:
        """Return the state of the feed, which is created if the file does not have it."""
        state = read_state(connection, self.number)
        if state is None:
            state = FeedState(0, 0, 0.0, token_hex(6))
            connection.execute(REGISTER, (self.number, self.name, state.epoch))
        return state

    def _new_ids(self, connection: Connection, state: FeedState, now: float) -> Callable[[str], bool]:
        """Return a function that returns True for an id that is neither in the feed nor was asked for before."""
        first: int | None = None
        added: set[str] = set()

        def is_new(id: str) -> bool:
            nonlocal first
            if first is None:
                first = self._find_span(connection, state, now).first
            if id in added or self._position_of(connection, id, state) > first:
                return False
            added.add(id)
            return True

        return is_new

    def _position_of(self, connection: Connection, id: str, state: FeedState) -> int:
        """Return the last position of an id; 0 if there is none."""
        [[position]] = connection.execute(POSITION_OF, (self.number, id)).fetchall()
        return position or self._parse(connection, id, state)

    def _parse(self, connection: Connection, id: str, state: FeedState) -> int:
        """Return the position in an id that the feed has chosen; 0 for any other id."""
        prefix, _, digits = id.rpartition("-")
        if prefix != state.epoch or not digits.isdecimal() or len(digits) > MOST_DIGITS:
            return 0
        rows = connection.execute(WITHOUT_ID, (self.number, int(digits))).fetchall()
        return int(digits) if rows and id == f"{prefix}-{int(digits)}" else 0

    def _remove_after_put(self, connection: Connection, before: FeedState, state: FeedState, now: float) -> None:
        """Note up to where items are removed now, and delete some of these now and then."""
        is_turn = before.last // DELETE_EACH < state.last // DELETE_EACH
        if is_turn or self._first_time <= now - self.retention:
            span = self._find_span(connection, state, now)
            if is_turn:
                self._delete(connection, state, span, 2 * max(DELETE_EACH, state.last - before.last))
        self.known_first = max(self.known_first, state.last - self.most)

    def _find_span(self, connection: Connection, state: FeedState, now: float) -> Span:
        span = find_span(connection, self.number, state, self.most, now - self.retention)
        self.known_first, self._first_time = span.first, span.at
        return span

    def _delete(self, connection: Connection, state: FeedState, span: Span, limit: int) -> int:
        first = min(span.first, state.first + limit)
        if first == state.first:
            return 0
        connection.execute(SET_FIRST, (first, state.last, self.number))
        return connection.execute(DELETE, (self.number, first)).rowcount
