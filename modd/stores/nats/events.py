"""Events on a NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import anyio

from modd.checks import checked_count, checked_flag
from modd.ports.events import EventPage, PositionedBody, RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.ports.tagged import Tagged, checked_query
from modd.stores.checks import checked_event, checked_revision, checked_snapshot
from modd.stores.nats.access import NatsPart, NatsParts
from modd.stores.nats.event_log import EventLog
from modd.stores.nats.overlay import Overlay
from modd.stores.paging import PAGE, GrowingPages, PagedReader
from modd.stores.waiting import Notifier

POLL = 0.05
"""Seconds between two looks for events of other processes."""


class NatsEvents(NatsPart):
    """A `modd.ports.EventStore` of a `NatsStore`: ``store.events``.

    Positions rise, with gaps, because the store numbers its events together with all else that it stores. A stream is
    read from a revision on with one request if the revision was appended or read lately, or a snapshot was saved there;
    else the place is searched for with 20 requests among a million messages. The events that a query finds are read one
    by one.
    """

    def __init__(self, store: NatsParts) -> None:
        super().__init__(store)
        self._log, self._notifier = EventLog(store.subjects), Notifier()

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Append events to a stream, all or none, and return its new revision. Raises `RevisionConflict`."""
        expected = checked_revision("expected_revision", expected_revision)
        items = [*map(checked_event, events)]
        await self._store.access("append").write(self._append, stream, items, expected)
        return expected + len(items)

    async def append_where(self, stream: str, items: Sequence[bytes | Item], query: Tagged, after: int) -> int | None:
        """Append events to a stream, all or none, if no event after a position matches; return the last position.

        Raises `QueryConflict` if an event behind ``after`` matches, and `InvalidOption` as `append` does.
        """
        condition, first = checked_query(query), checked_revision("after", after)
        checked = [checked_event(event) for event in items]
        access = self._store.access("append_where")
        result = await access.write(self._append_where, stream, checked, condition, first)
        return None if result is None else int(result[0])

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(partial(self._read, stream, limit=PAGE), lambda event: event.revision, first)

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events appended meanwhile included."""
        first = checked_revision("after", after)
        return PagedReader(partial(self._read_all, limit=PAGE), lambda event: event.position, first)

    def pages(self, stream: str, after: int = 0) -> AsyncIterator[EventPage]:
        """Iterate over the bodies of a stream after a revision: pages of the first revision, and the bodies."""
        return GrowingPages(partial(self._read_bodies, stream), checked_revision("after", after))

    async def page(self, after: int, limit: int, headers: bool = True) -> list[PositionedBody]:
        """Return the first events after a position, up to ``limit``; headers: False to leave the headers empty."""
        first, most = checked_revision("after", after), checked_count("limit", limit)
        checked_flag("headers", headers)
        events = await self._read_all(first, limit=most)
        return [(event.position, event.body, event.headers if headers else {}) for event in events]

    async def last(self) -> int:
        """Return the position of the last event; 0 if there is none."""
        position: int = await self._store.access("last").read("the position of the last event", self._log.last)
        return position

    async def wait(self, after: int, seconds: float) -> None:
        """Return as soon as there is an event after a position, at the latest after ``seconds``."""
        first = checked_revision("after", after)

        async def has_event() -> bool:
            return await self.last() > first

        await self._notifier.wait(seconds, has_event, lambda: anyio.current_time() + POLL)

    def read_where(self, query: Tagged, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position that match the query."""
        read_page = partial(self._read_where, checked_query(query))
        return PagedReader(read_page, lambda event: event.position, checked_revision("after", after), ends_short=True)

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Save the state of a stream at a revision, unless a snapshot of a later revision is saved."""
        checked, item = checked_revision("revision", revision), checked_snapshot(body)
        await self._store.access("save_snapshot").write(self._log.save_snapshot, stream, checked, item)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream, None if there is none."""
        access = self._store.access("snapshot")
        saved: Snapshot | None = await access.read(f"the snapshot of {stream}", self._log.snapshot, stream)
        return saved

    async def _append(self, overlay: Overlay, stream: str, items: Sequence[Item], expected: int) -> None:
        await self._log.append(overlay, stream, items, expected)
        overlay.after_commit(self._wake)

    async def _append_where(self, overlay: Overlay, *arguments: Any) -> list[int]:
        result = await self._log.append_where(overlay, *arguments)
        overlay.after_commit(self._wake)
        return result

    def _wake(self, _: object) -> None:
        self._notifier.notify()

    async def _read(self, stream: str, after: int, limit: int) -> list[RecordedEvent]:
        access = self._store.access("read")
        events: list[RecordedEvent] = await access.read(f"the events of {stream}", self._log.read, stream, after, limit)
        return events

    async def _read_all(self, after: int, limit: int) -> list[RecordedEvent]:
        access = self._store.access("read")
        events: list[RecordedEvent] = await access.read("the events of all streams", self._log.read_all, after, limit)
        return events

    async def _read_bodies(self, stream: str, after: int, limit: int) -> list[bytes]:
        return [event.body for event in await self._read(stream, after, limit)]

    async def _read_where(self, query: Tagged, after: int) -> list[RecordedEvent]:
        access = self._store.access("read_where")
        events: list[RecordedEvent] = await access.read(
            f"the events of {query!r}", self._log.read_where, query, after, PAGE
        )
        return events
