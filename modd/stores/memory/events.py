"""Events in the memory of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from threading import Lock
from time import time

import msgspec
from anyio.lowlevel import checkpoint

from modd.checks import checked_callable
from modd.ports.errors import RevisionConflict
from modd.ports.events import RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.stores.checks import checked_event, checked_revision
from modd.stores.paging import PAGE, PagedReader


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
        self._lock = Lock()  # for loops in several threads

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Append events to a stream, all or none, and return its new revision.

        Raises `RevisionConflict` when the stream is not at ``expected_revision``, and `InvalidOption` for a negative
        revision and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        items = [checked_event(event) for event in events]
        await checkpoint()
        with self._lock:
            actual = len(self._stream(stream))
            if actual != expected:
                raise RevisionConflict(stream, expected, actual)
            at = self._clock()
            for item in items:
                self._record(stream, item, at)
            return actual + len(items)

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(lambda last: _read_page(self._stream(stream), last), lambda event: event.revision, first)

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(partial(_read_page, self._all), lambda event: event.position, first)

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Save the state of a stream at a revision, unless a snapshot of a later revision is saved."""
        checked, item = checked_revision("revision", revision), checked_event(body)
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

    def _record(self, stream: str, item: Item, at: float) -> None:
        events = self._streams.setdefault(stream, [])
        headers = dict(item.headers)
        recorded = RecordedEvent(stream, len(events) + 1, len(self._all) + 1, item.body, headers, at)
        events.append(recorded)
        self._all.append(recorded)


async def _read_page(events: Sequence[RecordedEvent], after: int) -> list[RecordedEvent]:
    await checkpoint()
    return [msgspec.structs.replace(event, headers=dict(event.headers)) for event in events[after : after + PAGE]]
