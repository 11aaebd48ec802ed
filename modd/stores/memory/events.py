"""Events in the memory of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from math import inf
from threading import Lock
from time import time

import msgspec
from anyio.lowlevel import checkpoint

from modd.checks import checked_callable, checked_count, checked_flag
from modd.ports.errors import QueryConflict, RevisionConflict
from modd.ports.events import EventPage, PositionedBody, RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.ports.tagged import TYPE_HEADER, Tagged, checked_query
from modd.stores.checks import checked_event, checked_revision, checked_snapshot
from modd.stores.paging import PAGE, GrowingPages, PagedReader
from modd.stores.tag_index import TagIndex
from modd.stores.waiting import Notifier

BEAT = 256
"""Appends until other tasks can run: a checkpoint for each would take half of the time of a command."""


class MemoryEventStore:
    """A `modd.ports.EventStore` of this process, for tests and for events that may be lost with the process.

    clock: a function that returns seconds since 1970, for the ``at`` of events; ``time.time`` by default. It orders
        nothing, so it may jump.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = checked_callable("clock", clock)
        self._all: list[RecordedEvent] = []
        self._streams: dict[str, list[RecordedEvent]] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._tags, self._notifier = TagIndex(), Notifier()
        self._appends = 0
        self._lock = Lock()  # for loops in several threads

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Append events to a stream, all or none, and return its new revision.

        Raises `RevisionConflict` when the stream is not at ``expected_revision``, and `InvalidOption` for a negative
        revision and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        items = [checked_event(event) for event in events]
        self._appends += 1
        if self._appends % BEAT == 0:
            await checkpoint()
        with self._lock:
            actual = len(self._stream(stream))
            if actual != expected:
                raise RevisionConflict(stream, expected, actual)
            self._record(stream, items)
            return actual + len(items)

    async def append_where(self, stream: str, items: Sequence[bytes | Item], query: Tagged, after: int) -> int:
        """Append events to a stream, all or none, if no event after a position matches; return the last position.

        Raises `QueryConflict` if an event behind ``after`` matches, and `InvalidOption` as `append` does.
        """
        condition, first = checked_query(query), checked_revision("after", after)
        checked = [checked_event(event) for event in items]
        await checkpoint()
        with self._lock:
            for position in self._tags.find(condition, first, 1):
                raise QueryConflict(condition, first, position)
            self._record(stream, checked)
            return len(self._all)

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(lambda last: _read_page(self._stream(stream), last), lambda event: event.revision, first)

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(partial(_read_page, self._all), lambda event: event.position, first)

    def pages(self, stream: str, after: int = 0) -> AsyncIterator[EventPage]:
        """Iterate over the bodies of a stream after a revision: pages of the first revision, and the bodies."""
        return GrowingPages(partial(self._read_bodies, stream), checked_revision("after", after))

    async def page(self, after: int, limit: int, headers: bool = True) -> list[PositionedBody]:
        """Return the first events after a position, up to ``limit``; headers: False to leave the headers empty."""
        first, most = checked_revision("after", after), checked_count("limit", limit)
        checked_flag("headers", headers)
        await checkpoint()
        events = self._all[first : first + most]
        return [(event.position, event.body, dict(event.headers) if headers else {}) for event in events]

    async def last(self) -> int:
        """Return the position of the last event; 0 if there is none."""
        await checkpoint()
        return len(self._all)

    async def wait(self, after: int, seconds: float) -> None:
        """Return as soon as there is an event after a position, at the latest after ``seconds``."""
        first = checked_revision("after", after)

        async def has_event() -> bool:
            return await self.last() > first

        await self._notifier.wait(seconds, has_event, lambda: inf)

    def read_where(self, query: Tagged, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position that match the query."""
        read_page = partial(self._read_where, checked_query(query))
        return PagedReader(read_page, lambda event: event.position, checked_revision("after", after), ends_short=True)

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Save the state of a stream at a revision, unless a snapshot of a later revision is saved."""
        checked, item = checked_revision("revision", revision), checked_snapshot(body)
        await checkpoint()
        with self._lock:
            saved = self._snapshots.get(stream)
            if saved is None or saved.revision <= checked:
                self._snapshots[stream] = Snapshot(stream, checked, item.body, dict(item.headers), self._clock())

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream, None if there is none."""
        await checkpoint()
        saved = self._snapshots.get(stream)
        return None if saved is None else msgspec.structs.replace(saved, headers=dict(saved.headers))

    def _stream(self, name: str) -> Sequence[RecordedEvent]:
        return self._streams.get(name, ())

    def _record(self, stream: str, items: Sequence[Item]) -> None:
        events, at = self._streams.setdefault(stream, []) if items else [], self._clock()
        for item in items:
            position, headers = len(self._all) + 1, dict(item.headers)
            recorded = RecordedEvent(stream, len(events) + 1, position, item.body, headers, at)
            events.append(recorded)
            self._all.append(recorded)
            if item.tags:
                self._tags.add(position, item.tags, item.headers.get(TYPE_HEADER))
        self._notifier.notify()

    async def _read_bodies(self, stream: str, after: int, limit: int) -> list[bytes]:
        await checkpoint()
        return [event.body for event in self._stream(stream)[after : after + limit]]

    async def _read_where(self, query: Tagged, after: int) -> list[RecordedEvent]:
        await checkpoint()
        return [_copy(self._all[position - 1]) for position in self._tags.find(query, after, PAGE)]


async def _read_page(events: Sequence[RecordedEvent], after: int) -> list[RecordedEvent]:
    await checkpoint()
    return [_copy(event) for event in events[after : after + PAGE]]


def _copy(event: RecordedEvent) -> RecordedEvent:
    return msgspec.structs.replace(event, headers=dict(event.headers))
