"""Events in the memory of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from time import time

import msgspec

from modd.checks import checked_callable
from modd.ports.errors import RevisionConflict
from modd.ports.events import RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.stores.checks import checked_event, checked_revision
from modd.stores.memory.access import Alone, MemoryOwner
from modd.stores.memory.undo_log import Swap
from modd.stores.paging import PAGE, PagedReader


class MemoryEventStore:
    """A `modd.ports.EventStore` of this process, for tests and for events that may be lost with the process.

    clock: a function that returns seconds since 1970, for the ``at`` of events; ``time.time`` by default. It orders
        nothing, so it may jump.
    owner: the `MemoryStore` that it is a part of; None, the default, for a store of events alone.
    """

    def __init__(self, clock: Callable[[], float] = time, owner: MemoryOwner | None = None) -> None:
        self._clock = checked_callable("clock", clock)
        self._all: list[RecordedEvent] = []
        self._streams: dict[str, list[RecordedEvent]] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._owner = owner or Alone()

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Append events to a stream, all or none, and return its new revision.

        Raises `RevisionConflict` when the stream is not at ``expected_revision``, and `InvalidOption` for a negative
        revision and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        items = [checked_event(event) for event in events]
        await self._owner.access("append").write(self._append, stream, items, expected)
        return expected + len(items)

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(partial(self._read_stream, stream), lambda event: event.revision, first)

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(self._read_all, lambda event: event.position, first)

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Save the state of a stream at a revision, unless a snapshot of a later revision is saved."""
        checked, item = checked_revision("revision", revision), checked_event(body)
        await self._owner.access("save_snapshot").write(self._save_snapshot, stream, checked, item)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream, None if there is none."""
        access = self._owner.access("snapshot")
        saved = await access.read(f"the snapshot of {stream}", self._snapshots.get, stream)
        return None if saved is None else msgspec.structs.replace(saved, headers=dict(saved.headers))

    async def _read_stream(self, stream: str, after: int) -> list[RecordedEvent]:
        access, version = self._owner.access("read"), lambda *_: len(self._stream(stream))
        page = await access.read(f"the events of {stream}", self._page, stream, after, version=version)
        return [_copy(event) for event in page]

    async def _read_all(self, after: int) -> list[RecordedEvent]:
        access, version = self._owner.access("read"), lambda *_: len(self._all[after : after + PAGE])
        page = await access.read("the events of all streams", self._page_of_all, after, version=version)
        return [_copy(event) for event in page]

    def _page(self, stream: str, after: int) -> Sequence[RecordedEvent]:
        return self._stream(stream)[after : after + PAGE]

    def _page_of_all(self, after: int) -> Sequence[RecordedEvent]:
        return self._all[after : after + PAGE]

    def _stream(self, name: str) -> Sequence[RecordedEvent]:
        return self._streams.get(name, ())

    def _append(self, stream: str, items: Sequence[Item], expected: int) -> None:
        actual = len(self._stream(stream))
        if actual != expected:
            raise RevisionConflict(stream, expected, actual)
        at = self._clock()
        for item in items:
            self._record(stream, item, at)
        if items:
            self._owner.undo_log.note(partial(self._withdraw, stream, len(items)))

    def _withdraw(self, stream: str, number: int) -> Swap:
        """Remove the last events, which are of this stream; return a function that adds them again."""
        first = len(self._all) - number
        events = self._all[first:]
        del self._all[first:], self._streams[stream][-number:]
        return partial(self._add_again, stream, events)

    def _add_again(self, stream: str, events: list[RecordedEvent]) -> Swap:
        self._all += events
        self._streams[stream] += events
        return partial(self._withdraw, stream, len(events))

    def _save_snapshot(self, stream: str, revision: int, item: Item) -> None:
        saved = self._snapshots.get(stream)
        if saved is None or saved.revision <= revision:
            self._owner.undo_log.keep(self._snapshots.get, self._set_snapshot, stream)
            self._snapshots[stream] = Snapshot(stream, revision, item.body, dict(item.headers), self._clock())

    def _set_snapshot(self, stream: str, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            self._snapshots.pop(stream, None)
        else:
            self._snapshots[stream] = snapshot

    def _record(self, stream: str, item: Item, at: float) -> None:
        events = self._streams.setdefault(stream, [])
        headers = dict(item.headers)
        recorded = RecordedEvent(stream, len(events) + 1, len(self._all) + 1, item.body, headers, at)
        events.append(recorded)
        self._all.append(recorded)


def _copy(event: RecordedEvent) -> RecordedEvent:
    return msgspec.structs.replace(event, headers=dict(event.headers))
