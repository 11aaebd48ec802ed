"""The operations that append events: they run in the writer's thread, inside its transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modd.ports.errors import QueryConflict, RevisionConflict
from modd.ports.items import Item
from modd.ports.tagged import TYPE_HEADER, Tagged
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.event_tags import TaggedPositions
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import (
    REFUSING_OPERATIONS,
    BulkInsert,
    CallArgs,
    Connection,
    Refused,
    Row,
    encode_headers,
)
from modd.stores.tag_index import TagIndex

INSERT = BulkInsert("INSERT INTO modd_events (position, stream, revision, at, headers, body)", "(?, ?, ?, ?, ?, ?)")


INSERT_TAGS = BulkInsert("INSERT INTO modd_event_tags (tag, position, type)", "(?, ?, ?)")


LAST_POSITION = Select(
    "SELECT coalesce(max(position), 0) FROM modd_events", columns=Columns(position=int), title="the last position"
)


LAST_REVISION = "SELECT coalesce(max(revision), 0) FROM modd_events WHERE stream = ?"


REVISION = Columns(revision=int)


class EventRows:
    """Events as rows: headers and body of each; and, by the number of the event, tags and type of those with tags."""

    __slots__ = ("rows", "tags")

    def __init__(self, items: Sequence[Item]) -> None:
        self.rows: list[Row] = [(encode_headers(item.headers), item.body) for item in items]
        self.tags = {at: _tags_of(item) for at, item in enumerate(items) if item.tags}


class EventAppends:
    """The operations of an event store.

    tell_news: called, in the writer's thread, if there may be more events after the next commit.
    """

    def __init__(self, tell_news: Callable[[], None]) -> None:
        self._tell_news = tell_news

    def append(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[Refused | None]:
        """Append events; each call has the stream, its expected revision, the time, and `EventRows`."""
        self._tell_news()
        insertion = EventInsertion(connection)
        results: list[Refused | None] = []
        for stream, expected, at, events in calls:
            actual = insertion.revision_of(stream)
            if actual == expected:
                insertion.add(stream, at, events)
                results.append(None)
            else:
                results.append(Refused(RevisionConflict(stream, expected, actual)))
        insertion.run()
        return results

    def append_where(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[Refused | int]:
        """Append events on a condition, and return the last position after each call.

        Each call has the stream, the query, the position behind which no event may match, the time, and `EventRows`.
        """
        self._tell_news()
        insertion, added = EventInsertion(connection), TagIndex()
        stored = insertion.last
        results: list[Refused | int] = []
        for stream, query, after, at, events in calls:
            match = _first_match(connection, query, after) if after < stored else None
            match = match or next(iter(added.find(query, after, 1)), None)
            if match is not None:
                results.append(Refused(QueryConflict(query, after, match)))
                continue
            for number, (tags, type) in events.tags.items():
                added.add(insertion.last + 1 + number, tags, type)
            insertion.add(stream, at, events)
            results.append(insertion.last)
        insertion.run()
        return results


REFUSING_OPERATIONS.update((EventAppends.append, EventAppends.append_where))


class EventInsertion:
    """The events of one commit: each gets a position and a revision; `run` inserts them.

    last: the last position of the store, with these events.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        [self.last] = LAST_POSITION.only(connection)
        self._revisions: dict[str, int] = {}
        self._values: list[Any] = []
        self._tags: list[Any] = []

    def revision_of(self, stream: str) -> int:
        """Return the last revision of a stream."""
        revision = self._revisions.get(stream)
        if revision is None:
            [[revision]] = REVISION.check(self._connection.execute(LAST_REVISION, (stream,)).fetchall())
            self._revisions[stream] = revision
        return revision

    def add(self, stream: str, at: float, events: EventRows) -> None:
        """Add events to a stream, at a time in seconds since 1970."""
        position, revision = self.last, self.revision_of(stream)
        for number, (tags, type) in events.tags.items():
            for tag in tags:
                self._tags += (tag, position + 1 + number, type)
        for headers, body in events.rows:
            position += 1
            revision += 1
            self._values += (position, stream, revision, at, headers, body)
        self.last, self._revisions[stream] = position, revision

    def run(self) -> None:
        """Insert the events and their tags."""
        INSERT.run(self._connection, self._values)
        INSERT_TAGS.run(self._connection, self._tags)


def _first_match(connection: Connection, query: Tagged, after: int) -> int | None:
    rows = TaggedPositions(query, after, 1)(connection)
    return rows[0][0] if rows else None


def _tags_of(item: Item) -> tuple[tuple[str, ...], str | None]:
    return tuple(dict.fromkeys(item.tags)), item.headers.get(TYPE_HEADER)
