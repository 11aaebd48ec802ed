"""Events in the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial

from modd.checks import checked_count, checked_flag, checked_text
from modd.ports.events import EventPage, PositionedBody, RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.ports.tagged import Tagged, checked_query
from modd.stores.checks import checked_event, checked_revision, checked_snapshot
from modd.stores.paging import PAGE, GrowingPages, PagedReader
from modd.stores.sqlite.base import Autocommit, Store, StorePart, next_look
from modd.stores.sqlite.damage import Columns, Damage
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.event_appends import LAST_POSITION, LAST_REVISION, REVISION, EventAppends, EventRows
from modd.stores.sqlite.event_tags import COLUMNS, EVENT, TaggedEvents
from modd.stores.sqlite.limits import LARGEST, checked_item, checked_number
from modd.stores.sqlite.savepoint import one_state
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import CallArgs, Connection, decode_headers, encode_headers
from modd.stores.waiting import Notifier, SupportsWake

READ = f"SELECT {COLUMNS} FROM modd_events WHERE stream = ? AND revision > ? ORDER BY revision LIMIT {PAGE}"


READ_ALL = f"SELECT {COLUMNS} FROM modd_events WHERE position > ? ORDER BY position LIMIT {PAGE}"


# the bodies alone, because a second column of each row would take a fifth of the time of a replay
READ_BODIES = "SELECT body FROM modd_events WHERE stream = ? AND revision > ? AND revision <= ? ORDER BY revision"


READ_PAGE = "SELECT position, body, headers FROM modd_events WHERE position > ? ORDER BY position LIMIT ?"


READ_PAGE_BODIES = "SELECT position, body, NULL FROM modd_events WHERE position > ? ORDER BY position LIMIT ?"


# rows of a page change only if there are more of them, as events are only ever added
END_OF_PAGE = "SELECT min(coalesce(max(position), 0), ?) FROM modd_events"


END_OF_BODIES = "SELECT min(coalesce(max(revision), 0), ?) FROM modd_events WHERE stream = ?"


PAGE_COLUMNS = Columns(position=int, body=bytes, headers=bytes | None)


SAVE_SNAPSHOT = """INSERT INTO modd_snapshots (stream, revision, at, headers, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, at = excluded.at, headers = excluded.headers,
    body = excluded.body WHERE excluded.revision >= revision"""


SNAPSHOT = "SELECT stream, revision, body, headers, at FROM modd_snapshots WHERE stream = ?"


SNAPSHOT_COLUMNS = Columns(stream=str, revision=int, body=bytes, headers=bytes | None, at=float)


class StreamBodies(Select):
    """The bodies of the first events of a stream after a revision, up to a limit."""

    __slots__ = ("after", "end", "stream")

    def __init__(self, stream: str, after: int, limit: int) -> None:
        self.stream, self.after, self.end = stream, after, min(after + limit, LARGEST)
        version = Select(END_OF_BODIES, (self.end, stream), columns=REVISION)
        super().__init__(READ_BODIES, (stream, after, self.end), title=f"the events of {stream}", version=version)

    def execute(self, connection: Connection) -> list[bytes]:
        """Return the bodies. Raises `Damage` for an event that is missing, or whose body is not bytes."""
        with one_state(connection):
            bodies = [body for [body] in super().execute(connection)]
            if {*map(type, bodies)} - {bytes}:
                raise Damage(f"a body after event {self.after} of {self.stream} that is not bytes")
            if len(bodies) < self.end - self.after:
                self._check_end(connection, self.after + len(bodies))
        return bodies

    def _check_end(self, connection: Connection, end: int) -> None:
        [last] = (self.version or self).only(connection)
        if end != max(last, self.after):
            raise Damage(f"event {end + 1} of {self.stream} is missing, and there is an event {last}")


class SqliteEventStore(StorePart):
    """A `modd.ports.EventStore` in the file of a `SqliteStore`: ``store.events``.

    Events are never deleted and one task writes, so that positions have no gaps. In a transaction that defers writes,
    `modd.ports.RevisionConflict` and `modd.ports.QueryConflict` are raised when it commits.
    """

    def __init__(self, store: Store, news: set[SupportsWake]) -> None:
        super().__init__(store)
        self._notifier = Notifier()
        self._end = -1, 0
        """The last end of the log that was read outside of a transaction, and the `count` of the notifier before."""
        appends = EventAppends(partial(news.add, self))
        # bound once: the writer groups calls by operation, and each access would make another bound method
        self._append, self._append_where = appends.append, appends.append_where

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Record events at the end of a stream, all or none, and return its revision after them.

        Raises `modd.ports.RevisionConflict` when the stream is not at ``expected_revision``, and
        `modd.errors.InvalidOption` for a negative one and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        checked_text("stream", stream)
        rows = EventRows([checked_item(checked_event(event)) for event in events])
        await self._store.access("append").write(self._append, stream, expected, self._store.clock(), rows)
        return expected + len(rows.rows)

    async def append_where(self, stream: str, items: Sequence[bytes | Item], query: Tagged, after: int) -> int | None:
        """Append events to a stream, all or none, if no event after a position matches; return the last position.

        In a transaction that defers writes it returns None. Raises `modd.ports.QueryConflict` if an event behind
        ``after`` matches, and `modd.errors.InvalidOption` as `append` does.
        """
        condition, first = checked_query(query), min(checked_revision("after", after), LARGEST)
        checked_text("stream", stream)
        rows = EventRows([checked_item(checked_event(event)) for event in items])
        access, at = self._store.access("append_where"), self._store.clock()
        last: int | None = await access.write(self._append_where, stream, condition, first, at, rows)
        return last

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events included that are appended meanwhile."""
        first = min(checked_revision("after", after), LARGEST)
        checked_text("stream", stream)
        return PagedReader(partial(self._read_stream, stream), lambda event: event.revision, first)

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events included that are appended meanwhile."""
        first = min(checked_revision("after", after), LARGEST)
        return PagedReader(self._read_all, lambda event: event.position, first)

    def read_where(self, query: Tagged, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position that match the query."""
        first = min(checked_revision("after", after), LARGEST)
        read_page = partial(self._read_where, checked_query(query))
        return PagedReader(read_page, lambda event: event.position, first, ends_short=True)

    def pages(self, stream: str, after: int = 0) -> AsyncIterator[EventPage]:
        """Iterate over the bodies of a stream after a revision: pages of the first revision, and the bodies."""
        first = min(checked_revision("after", after), LARGEST)
        return GrowingPages(partial(self._read_bodies, checked_text("stream", stream)), first)

    async def page(self, after: int, limit: int, headers: bool = True) -> list[PositionedBody]:
        """Return the first events after a position, up to ``limit``; headers: False to leave the headers empty."""
        first, most = min(checked_revision("after", after), LARGEST), min(checked_count("limit", limit), LARGEST)
        sql = READ_PAGE if checked_flag("headers", headers) else READ_PAGE_BODIES
        version = Select(END_OF_PAGE, (min(first + most, LARGEST),))
        query = Select(sql, (first, most), columns=PAGE_COLUMNS, title="the events of all streams", version=version)
        access, count = self._store.access("page"), self._notifier.count
        rows = await access.read(query)
        with translate_errors(self._store.name):
            _check_order(first, (row[0] for row in rows))
            if len(rows) < most and isinstance(access, Autocommit):
                self._end = rows[-1][0] if rows else first, count
            return [(position, body, decode_headers(encoded)) for position, body, encoded in rows]

    async def last(self) -> int:
        """Return the position of the last event; 0 if there is none."""
        [[position]] = await self._store.access("last").read(LAST_POSITION)
        return int(position)

    async def wait(self, after: int, seconds: float) -> None:
        """Return as soon as there is an event after a position, at the latest after ``seconds``."""
        first = checked_revision("after", after)

        async def has_event() -> bool:
            # outside of a transaction that defers its writes, whose reads would see no later event
            [[position]] = await self._store.access("wait", at_once=True).read(LAST_POSITION)
            return bool(position > first)

        # without a look after an append or a last page: whoever waits looks at the log, and a look costs half a commit
        is_at_end = self._end == (first, self._notifier.count)
        await self._notifier.wait(seconds, has_event, next_look, is_empty=is_at_end, trust_notify=True)

    def wake(self) -> None:
        """Wake the tasks that wait, after a commit."""
        self._notifier.notify()

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Store the snapshot of a stream at a revision, unless there is a later one."""
        number, item = checked_revision("revision", revision), checked_item(checked_snapshot(body))
        checked_number("revision", number)
        checked_text("stream", stream)
        await self._store.access("save_snapshot").write(
            save_snapshots, stream, number, self._store.clock(), encode_headers(item.headers), item.body
        )

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Return the latest snapshot of a stream; None if it has none."""
        parameters = (checked_text("stream", stream),)
        query = Select(SNAPSHOT, parameters, columns=SNAPSHOT_COLUMNS, title=f"the snapshot of {stream}")
        rows = await self._store.access("snapshot").read(query)
        with translate_errors(self._store.name):
            return _to_snapshot(*rows[0]) if rows else None

    async def _read_stream(self, stream: str, after: int) -> list[RecordedEvent]:
        # a revision tells as much as the events, because events are only ever added
        version = Select(LAST_REVISION, (stream,))
        title = f"the events of {stream}"
        query = Select(READ, (stream, after), columns=EVENT, title=title, version=version)
        return await self._read(query, after, lambda event: event.revision)

    async def _read_bodies(self, stream: str, after: int, limit: int) -> list[bytes]:
        return await self._store.access("pages").read(StreamBodies(stream, after, limit))

    async def _read_where(self, query: Tagged, after: int) -> list[RecordedEvent]:
        return await self._read(TaggedEvents(query, after, PAGE), after, lambda event: event.position)

    async def _read_all(self, after: int) -> list[RecordedEvent]:
        query = Select(READ_ALL, (after,), columns=EVENT, title="the events of all streams")
        return await self._read(query, after, lambda event: event.position)

    async def _read(self, query: Select, after: int, number_of: Callable[[RecordedEvent], int]) -> list[RecordedEvent]:
        rows = await self._store.access("read").read(query)
        with translate_errors(self._store.name):
            events = [_to_event(*row) for row in rows]
            _check_order(after, map(number_of, events))
        return events


def save_snapshots(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Store snapshots; each call has the stream, the revision, the time, headers and body."""
    connection.executemany(SAVE_SNAPSHOT, calls)
    return [None] * len(calls)


def _check_order(after: int, numbers: Iterable[int]) -> None:
    """Raise `Damage` unless the numbers rise, because a reader would begin anew at a number that falls."""
    for number in numbers:
        if number <= after:
            raise Damage(f"event {number} comes after event {after}")
        after = number


def _to_event(
    stream: str, revision: int, position: int, body: bytes, headers: bytes | None, at: float
) -> RecordedEvent:
    return RecordedEvent(stream, revision, position, body, decode_headers(headers), at)


def _to_snapshot(stream: str, revision: int, body: bytes, headers: bytes | None, at: float) -> Snapshot:
    return Snapshot(stream, revision, body, decode_headers(headers), at)
