"""Events in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

import anyio

from modd.checks import checked_count, checked_flag, checked_text
from modd.concurrency.backoff import spread
from modd.ports.events import EventPage, PositionedBody, RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.ports.tagged import Tagged, checked_query
from modd.stores.checks import checked_revision, checked_snapshot
from modd.stores.paging import PAGE, GrowingPages, PagedReader
from modd.stores.postgres.base import LOOK_JITTER, PostgresAutocommit, PostgresPart, Store
from modd.stores.postgres.event_appends import (
    EVENTS,
    LAST_POSITION,
    LAST_REVISION,
    EventColumns,
    append_events,
    append_unless,
    store_snapshot,
)
from modd.stores.postgres.event_tags import COLUMNS, EventsTagged
from modd.stores.postgres.limits import checked_row_name, checked_stored_body, checked_stored_event
from modd.stores.postgres.select import ReadStatement, Select
from modd.stores.postgres.values import (
    LARGEST,
    checked_bigint,
    decode_headers,
    decode_text,
    encode_headers,
    encode_text,
)
from modd.stores.waiting import Notifier

READ = f"SELECT {COLUMNS} FROM modd.events WHERE stream = %s AND revision > %s ORDER BY revision LIMIT {PAGE}"


READ_ALL = f"SELECT {COLUMNS} FROM modd.events WHERE position > %s ORDER BY position LIMIT {PAGE}"


READ_BODIES = "SELECT body FROM modd.events WHERE stream = %s AND revision > %s AND revision <= %s ORDER BY revision"


READ_PAGE = "SELECT position, body, headers FROM modd.events WHERE position > %s ORDER BY position LIMIT %s"


READ_PAGE_BODIES = "SELECT position, body, NULL FROM modd.events WHERE position > %s ORDER BY position LIMIT %s"


# rows of a page change only if there are more of them, as events are only ever added
END_OF_PAGE = "SELECT least(coalesce(max(position), 0), %s::bigint) FROM modd.events"


END_OF_BODIES = "SELECT least(coalesce(max(revision), 0), %s::bigint) FROM modd.events WHERE stream = %s"


SNAPSHOT = "SELECT stream, revision, body, headers, at FROM modd.snapshots WHERE stream = %s"


class PostgresEventStore(PostgresPart):
    """A `modd.ports.EventStore` in the database of a `PostgresStore`: ``store.events``.

    Events are never deleted, and a lock of the database lets one transaction at a time append, until its commit: so
    positions have no gaps, and a reader that sees an event sees all events before it. In a transaction that defers
    writes, `modd.ports.RevisionConflict` and `modd.ports.QueryConflict` are raised when it commits.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._notifier = Notifier()
        self._end = -1, 0
        """The last end of the log that was read outside of a transaction, and the `count` of the notifier before."""
        store.join(EVENTS, self)

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Append events to a stream, all or none, and return its new revision.

        Raises `modd.ports.RevisionConflict` if the stream is not at ``expected_revision``, and
        `modd.errors.InvalidOption` for a negative one and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        checked_row_name("stream", stream)
        columns = EventColumns([checked_stored_event(event) for event in events])
        await self._store.access("append").write(append_events, stream, expected, columns)
        return expected + len(columns.bodies)

    async def append_where(self, stream: str, items: Sequence[bytes | Item], query: Tagged, after: int) -> int | None:
        """Append events to a stream, all or none, if no event after a position matches; return the last position.

        In a transaction that defers writes it returns None. Raises `modd.ports.QueryConflict` if an event behind
        ``after`` matches, and `modd.errors.InvalidOption` as `append` does.
        """
        condition, first = checked_query(query), min(checked_revision("after", after), LARGEST)
        checked_row_name("stream", stream)
        columns = EventColumns([checked_stored_event(event) for event in items])
        access = self._store.access("append_where")
        last: int | None = await access.write(append_unless, stream, condition, first, columns)
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
        query = Select(sql, (first, most), title="the events of all streams", version=version)
        access, count = self._store.access("page"), self._notifier.count
        rows = await access.read(query)
        if len(rows) < most and isinstance(access, PostgresAutocommit):
            self._end = rows[-1][0] if rows else first, count
        return [(position, body, decode_headers(encoded)) for position, body, encoded in rows]

    async def last(self) -> int:
        """Return the position of the last event; 0 if there is none."""
        return await self._read_last(at_once=False)

    async def wait(self, after: int, seconds: float) -> None:
        """Return as soon as there is an event after a position, at the latest after ``seconds``."""
        first = checked_revision("after", after)

        async def has_event() -> bool:
            # outside of a transaction that defers its writes, whose reads would see no later event
            return await self._read_last(at_once=True) > first

        # no look after a last page; one after news, which may be of an append that the caller has read
        is_at_end = self._end == (first, self._notifier.count)
        await self._notifier.wait(seconds, has_event, self._next_look, is_empty=is_at_end)

    def wake(self) -> None:
        """Wake the tasks that wait."""
        self._notifier.notify()

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Store the snapshot of a stream at a revision, unless there is a later one."""
        number, item = checked_bigint("revision", checked_revision("revision", revision)), checked_snapshot(body)
        checked_row_name("stream", stream)
        row = stream, number, encode_headers(item.headers), checked_stored_body("body", item.body)
        await self._store.access("save_snapshot").write(store_snapshot, *row)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Return the latest snapshot of a stream; None if it has none."""
        query = Select(SNAPSHOT, (encode_text(checked_text("stream", stream)),), title=f"the snapshot of {stream}")
        rows = await self._store.access("snapshot").read(query)
        return _to_snapshot(*rows[0]) if rows else None

    def _next_look(self) -> float:
        return anyio.current_time() + spread(self._store.poll, LOOK_JITTER)

    async def _read_last(self, *, at_once: bool) -> int:
        query = Select(LAST_POSITION, title="the last position")
        [[position]] = await self._store.access("last", at_once=at_once).read(query)
        return int(position)

    async def _read_stream(self, stream: str, after: int) -> list[RecordedEvent]:
        name = encode_text(stream)
        # a revision tells as much as the events, because events are only ever added
        version = Select(LAST_REVISION, (name,))
        return await self._read(Select(READ, (name, after), title=f"the events of {stream}", version=version))

    async def _read_all(self, after: int) -> list[RecordedEvent]:
        version = Select(END_OF_PAGE, (min(after + PAGE, LARGEST),))
        return await self._read(Select(READ_ALL, (after,), title="the events of all streams", version=version))

    async def _read_where(self, query: Tagged, after: int) -> list[RecordedEvent]:
        return await self._read(EventsTagged(query, after, PAGE))

    async def _read_bodies(self, stream: str, after: int, limit: int) -> list[bytes]:
        name, end = encode_text(stream), min(after + limit, LARGEST)
        version = Select(END_OF_BODIES, (end, name))
        query = Select(READ_BODIES, (name, after, end), title=f"the events of {stream}", version=version)
        return [body for [body] in await self._store.access("pages").read(query)]

    async def _read(self, query: ReadStatement) -> list[RecordedEvent]:
        return [_to_event(*row) for row in await self._store.access("read").read(query)]


def _to_event(
    stream: bytes, revision: int, position: int, body: bytes, headers: bytes | None, at: float
) -> RecordedEvent:
    return RecordedEvent(decode_text(stream), revision, position, body, decode_headers(headers), at)


def _to_snapshot(stream: bytes, revision: int, body: bytes, headers: bytes | None, at: float) -> Snapshot:
    return Snapshot(decode_text(stream), revision, body, decode_headers(headers), at)
