"""Events in the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from modd.ports.errors import Conflict
from modd.ports.events import RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.stores.checks import checked_event, checked_revision
from modd.stores.sqlite.base import Part
from modd.stores.sqlite.readers import rows_of
from modd.stores.sqlite.sql import Call, Connection, Insert, packed, unpacked

T = TypeVar("T")


PAGE = 256
"""Events that are read in one go."""


LAST = 2**63 - 1
"""SQLite knows no greater number."""


INSERT = Insert("INSERT INTO modd_events (position, stream, revision, at, headers, body)", "(?, ?, ?, ?, ?, ?)")


POSITION = "SELECT coalesce(max(position), 0) FROM modd_events"


REVISION = "SELECT coalesce(max(revision), 0) FROM modd_events WHERE stream = ?"


COLUMNS = "stream, revision, position, body, headers, at"


READ = f"SELECT {COLUMNS} FROM modd_events WHERE stream = ? AND revision > ? ORDER BY revision LIMIT {PAGE}"


READ_ALL = f"SELECT {COLUMNS} FROM modd_events WHERE position > ? ORDER BY position LIMIT {PAGE}"


SAVE = """INSERT INTO modd_snapshots (stream, revision, at, headers, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, at = excluded.at, headers = excluded.headers,
    body = excluded.body WHERE excluded.revision >= revision"""


SNAPSHOT = "SELECT stream, revision, body, headers, at FROM modd_snapshots WHERE stream = ?"


class SqliteEventStore(Part):
    """A `modd.ports.EventStore` in the file of a `SqliteStore`, which has it as ``store.events``.

    What is appended at the same time is committed together. Nothing is ever deleted, and one writes at a time, so that
    positions have no gaps. In a transaction that collects its writes, `modd.ports.Conflict` is raised when it commits.
    """

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Record events at the end of a stream, all or none, and return its revision after them.

        Raises `modd.ports.Conflict` when the stream is not at ``expected_revision``, and `modd.errors.InvalidOption`
        for a negative one and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        items = [checked_event(event) for event in events]
        rows = [(packed(item.headers), item.body) for item in items]
        await self._host.way("append").note(appended, stream, expected, self._host.clock(), rows)
        return expected + len(rows)

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """The events of a stream after a revision, those included that are appended while it is read."""
        return _Reading(
            lambda last: self._read(_recorded, READ, stream, last),
            lambda event: event.revision,
            checked_revision("after", after),
        )

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """The events of all streams after a position, those included that are appended while they are read."""
        return _Reading(
            lambda last: self._read(_recorded, READ_ALL, last),
            lambda event: event.position,
            checked_revision("after", after),
        )

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Keep what a stream had come to at a revision, unless there is something of a later one."""
        of, item = checked_revision("revision", revision), checked_event(body)
        await self._host.way("save_snapshot").note(
            saved, stream, of, self._host.clock(), packed(item.headers), item.body
        )

    async def snapshot(self, stream: str) -> Snapshot | None:
        """What was kept of a stream last, None if nothing was."""
        return next(iter(await self._read(_snapshot, SNAPSHOT, stream)), None)

    async def _read(self, make: Callable[..., T], sql: str, *given: Any) -> list[T]:
        return [make(*row) for row in await self._host.way("read").read(rows_of(sql, given))]


def appended(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Record events: each call has the stream, its expected revision, the time, and rows of headers and body."""
    [[position]] = connection.execute(POSITION).fetchall()
    values: list[Any] = []
    revisions: dict[str, int] = {}
    for stream, expected, at, rows in calls:
        if stream not in revisions:
            [[revisions[stream]]] = connection.execute(REVISION, (stream,)).fetchall()
        if revisions[stream] != expected:
            raise Conflict(stream, expected, revisions[stream])
        for headers, body in rows:
            position += 1
            revisions[stream] += 1
            values += (position, stream, revisions[stream], at, headers, body)
    INSERT.run(connection, values)
    return [None] * len(calls)


def saved(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Keep snapshots: each call has the stream, the revision, the time, headers and body."""
    connection.executemany(SAVE, calls)
    return [None] * len(calls)


class _Reading(Generic[T]):
    """One reading of what may become more meanwhile, page by page; no connection is held between two pages.

    A class and no generator: one who has read enough leaves the loop, and there is nothing to be closed.
    """

    def __init__(self, page: Callable[[int], Awaitable[list[T]]], number: Callable[[T], int], after: int) -> None:
        self._page, self._number, self._last = page, number, min(after, LAST)
        self._read: list[T] = []
        """What was read and not given out, the next at the end."""
        self._ended = False

    def __aiter__(self) -> _Reading[T]:
        return self

    async def __anext__(self) -> T:
        if not self._read and not self._ended:
            self._read = (await self._page(self._last))[::-1]
            self._ended = not self._read
        if self._ended:
            raise StopAsyncIteration
        next = self._read.pop()
        self._last = self._number(next)
        return next


def _recorded(
    stream: str, revision: int, position: int, body: bytes, headers: bytes | None, at: float
) -> RecordedEvent:
    return RecordedEvent(stream, revision, position, body, unpacked(headers), at)


def _snapshot(stream: str, revision: int, body: bytes, headers: bytes | None, at: float) -> Snapshot:
    return Snapshot(stream, revision, body, unpacked(headers), at)
