"""Events in the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from modd.checks import checked_text
from modd.ports.errors import RevisionConflict
from modd.ports.events import RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.stores.checks import checked_event, checked_revision
from modd.stores.paging import PAGE, PagedReader
from modd.stores.sqlite.base import StorePart
from modd.stores.sqlite.damage import Columns, Damage
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.limits import LARGEST, checked_item, checked_number
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import BulkInsert, CallArgs, Connection, Refused, decode_headers, encode_headers

INSERT = BulkInsert("INSERT INTO modd_events (position, stream, revision, at, headers, body)", "(?, ?, ?, ?, ?, ?)")


LAST_POSITION = "SELECT coalesce(max(position), 0) FROM modd_events"


LAST_REVISION = "SELECT coalesce(max(revision), 0) FROM modd_events WHERE stream = ?"


REVISION = Columns(revision=int)


COLUMNS = "stream, revision, position, body, headers, at"


READ = f"SELECT {COLUMNS} FROM modd_events WHERE stream = ? AND revision > ? ORDER BY revision LIMIT {PAGE}"


READ_ALL = f"SELECT {COLUMNS} FROM modd_events WHERE position > ? ORDER BY position LIMIT {PAGE}"


EVENT = Columns(stream=str, revision=int, position=int, body=bytes, headers=bytes | None, at=float)


SAVE_SNAPSHOT = """INSERT INTO modd_snapshots (stream, revision, at, headers, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, at = excluded.at, headers = excluded.headers,
    body = excluded.body WHERE excluded.revision >= revision"""


SNAPSHOT = "SELECT stream, revision, body, headers, at FROM modd_snapshots WHERE stream = ?"


SNAPSHOT_COLUMNS = Columns(stream=str, revision=int, body=bytes, headers=bytes | None, at=float)


class SqliteEventStore(StorePart):
    """A `modd.ports.EventStore` in the file of a `SqliteStore`: ``store.events``.

    Events are never deleted and one task writes, so that positions have no gaps. In a transaction that defers writes,
    `modd.ports.RevisionConflict` is raised when it commits.
    """

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Record events at the end of a stream, all or none, and return its revision after them.

        Raises `modd.ports.RevisionConflict` when the stream is not at ``expected_revision``, and
        `modd.errors.InvalidOption` for a negative one and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        checked_text("stream", stream)
        items = [checked_item(checked_event(event)) for event in events]
        rows = [(encode_headers(item.headers), item.body) for item in items]
        await self._store.access("append").write(append_events, stream, expected, self._store.clock(), rows)
        return expected + len(rows)

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events included that are appended meanwhile."""
        first = min(checked_revision("after", after), LARGEST)
        checked_text("stream", stream)
        return PagedReader(partial(self._read_stream, stream), lambda event: event.revision, first)

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events included that are appended meanwhile."""
        first = min(checked_revision("after", after), LARGEST)
        return PagedReader(self._read_all, lambda event: event.position, first)

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Store the snapshot of a stream at a revision, unless there is a later one."""
        number, item = checked_revision("revision", revision), checked_item(checked_event(body))
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

    async def _read_all(self, after: int) -> list[RecordedEvent]:
        query = Select(READ_ALL, (after,), columns=EVENT, title="the events of all streams")
        return await self._read(query, after, lambda event: event.position)

    async def _read(self, query: Select, after: int, number_of: Callable[[RecordedEvent], int]) -> list[RecordedEvent]:
        rows = await self._store.access("read").read(query)
        with translate_errors(self._store.name):
            events = [_to_event(*row) for row in rows]
            _check_order(after, map(number_of, events))
        return events


def append_events(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[Refused | None]:
    """Record events; each call has the stream, its expected revision, the time, and rows of headers and body."""
    [[position]] = connection.execute(LAST_POSITION).fetchall()
    values: list[Any] = []
    results: list[Refused | None] = []
    revisions: dict[str, int] = {}
    for stream, expected, at, rows in calls:
        if stream not in revisions:
            [[revisions[stream]]] = REVISION.check(connection.execute(LAST_REVISION, (stream,)).fetchall())
        if revisions[stream] != expected:
            results.append(Refused(RevisionConflict(stream, expected, revisions[stream])))
            continue
        results.append(None)
        for headers, body in rows:
            position += 1
            revisions[stream] += 1
            values += (position, stream, revisions[stream], at, headers, body)
    INSERT.run(connection, values)
    return results


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
