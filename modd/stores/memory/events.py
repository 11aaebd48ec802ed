"""Events in the memory of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from math import inf
from time import time

import msgspec

from modd.checks import checked_callable, checked_count, checked_flag
from modd.ports.errors import QueryConflict, RevisionConflict
from modd.ports.events import EventPage, PositionedBody, RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.ports.tagged import TYPE_HEADER, Tagged, checked_query
from modd.stores.checks import checked_event, checked_revision, checked_snapshot
from modd.stores.memory.access import Alone, MemoryOwner
from modd.stores.paging import PAGE, GrowingPages, PagedReader
from modd.stores.tag_index import TagIndex
from modd.stores.undo_log import Swap
from modd.stores.waiting import Notifier


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
        self._tags, self._notifier = TagIndex(), Notifier()
        self._owner = owner or Alone()

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Append events to a stream, all or none, and return its new revision.

        Raises `RevisionConflict` when the stream is not at ``expected_revision``, and `InvalidOption` for a negative
        revision and for an item with a key, a delay or an id.
        """
        expected = checked_revision("expected_revision", expected_revision)
        items = [*map(checked_event, events)]
        await self._owner.access("append").write(self._append, stream, items, expected)
        return expected + len(items)

    async def append_where(self, stream: str, items: Sequence[bytes | Item], query: Tagged, after: int) -> int | None:
        """Append events to a stream, all or none, if no event after a position matches; return the last position.

        Raises `QueryConflict` if an event behind ``after`` matches, and `InvalidOption` as `append` does.
        """
        condition, first = checked_query(query), checked_revision("after", after)
        checked = [checked_event(event) for event in items]
        access = self._owner.access("append_where")
        position: int | None = await access.write(self._append_where, stream, checked, condition, first)
        return position

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(partial(self._read_stream, stream), lambda event: event.revision, first)

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(self._read_all, lambda event: event.position, first)

    def pages(self, stream: str, after: int = 0) -> AsyncIterator[EventPage]:
        """Iterate over the bodies of a stream after a revision: pages of the first revision, and the bodies."""
        return GrowingPages(partial(self._read_bodies, stream), checked_revision("after", after))

    async def page(self, after: int, limit: int, headers: bool = True) -> list[PositionedBody]:
        """Return the first events after a position, up to ``limit``; headers: False to leave the headers empty."""
        first, most = checked_revision("after", after), checked_count("limit", limit)
        checked_flag("headers", headers)
        access, version = self._owner.access("page"), lambda *_: len(self._all[first : first + most])
        title = "the events of all streams"
        events = await access.read(title, lambda: self._all[first : first + most], version=version)
        return [(event.position, event.body, dict(event.headers) if headers else {}) for event in events]

    async def last(self) -> int:
        """Return the position of the last event; 0 if there is none."""
        return await self._owner.access("last").read("the position of the last event", lambda: len(self._all))

    async def wait(self, after: int, seconds: float) -> None:
        """Return as soon as there is an event after a position, at the latest after ``seconds``."""
        first = checked_revision("after", after)

        async def has_event() -> bool:
            return await self._owner.access("wait").read("the position of the last event", self._has_event, first)

        await self._notifier.wait(seconds, has_event, lambda: inf)

    def read_where(self, query: Tagged, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position that match the query."""
        read_page = partial(self._read_where, checked_query(query))
        return PagedReader(read_page, lambda event: event.position, checked_revision("after", after), ends_short=True)

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Save the state of a stream at a revision, unless a snapshot of a later revision is saved."""
        checked, item = checked_revision("revision", revision), checked_snapshot(body)
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

    async def _read_bodies(self, stream: str, after: int, limit: int) -> list[bytes]:
        access, version = self._owner.access("pages"), lambda *_: len(self._stream(stream)[after : after + limit])
        events = await access.read(
            f"the events of {stream}", lambda: self._stream(stream)[after : after + limit], version=version
        )
        return [event.body for event in events]

    async def _read_where(self, query: Tagged, after: int) -> list[RecordedEvent]:
        access = self._owner.access("read_where")
        positions = await access.read(f"the events of {query!r}", self._tags.find, query, after, PAGE)
        return [_copy(self._all[position - 1]) for position in positions]

    def _has_event(self, after: int) -> bool:
        return len(self._all) > after

    def _append(self, stream: str, items: Sequence[Item], expected: int) -> None:
        actual = len(self._streams.get(stream, ()))
        if actual != expected:
            raise RevisionConflict(stream, expected, actual)
        self._record(stream, items)

    def _append_where(self, stream: str, items: Sequence[Item], query: Tagged, after: int) -> int:
        for position in self._tags.find(query, after, 1):
            raise QueryConflict(query, after, position)
        self._record(stream, items)
        return len(self._all)

    def _record(self, stream: str, items: Sequence[Item]) -> None:
        if not items:
            return
        at, position, revision = self._clock(), len(self._all), len(self._streams.get(stream, ()))
        events: list[RecordedEvent] = []
        for item in items:
            position, revision = position + 1, revision + 1
            events.append(RecordedEvent(stream, revision, position, item.body, item.headers.copy(), at))
        self._add(stream, events, items)
        self._notifier.notify()
        if self._owner.undo_log.is_on:
            self._owner.undo_log.note(partial(self._withdraw, stream, events, items))
            self._owner.undo_log.wake_at_end(self._notifier)

    def _add(self, stream: str, events: Sequence[RecordedEvent], items: Sequence[Item]) -> None:
        self._all += events
        known = self._streams.get(stream)
        if known is None:
            self._streams[stream] = [*events]
        else:
            known += events
        for event, item in zip(events, items, strict=True):
            if item.tags:
                self._tags.add(event.position, item.tags, event.headers.get(TYPE_HEADER))

    def _add_again(self, stream: str, events: Sequence[RecordedEvent], items: Sequence[Item]) -> Swap:
        """Add events that were withdrawn; return a function that withdraws them again."""
        self._add(stream, events, items)
        return partial(self._withdraw, stream, events, items)

    def _withdraw(self, stream: str, events: Sequence[RecordedEvent], items: Sequence[Item]) -> Swap:
        """Remove the last events, which are of this stream; return a function that adds them again."""
        del self._all[-len(events) :], self._streams[stream][-len(events) :]
        for event in reversed(events):
            self._tags.remove(event.position)
        return partial(self._add_again, stream, events, items)

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


def _copy(event: RecordedEvent) -> RecordedEvent:
    return msgspec.structs.replace(event, headers=dict(event.headers))
