"""The records of events: how they are written and found. Positions are sequences, so that they rise with gaps.

A message of a stream of events has the subject of that stream. If an event has tags, the same batch has a message for
each of them behind it, with the distance to the event: so the position of the event follows from that of the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modd.ports.errors import QueryConflict, RevisionConflict
from modd.ports.events import RecordedEvent, Snapshot
from modd.ports.items import Item
from modd.ports.tagged import TYPE_HEADER, Tagged
from modd.stores.nats.event_places import EventPlaces
from modd.stores.nats.event_tags import find_positions, read_events
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import PENDING, Record, Write
from modd.stores.nats.subjects import Subjects


class EventLog:
    """The events of a store, as operations on an overlay. It keeps no state but the places of some events.

    subjects: the subjects of the store.
    """

    def __init__(self, subjects: Subjects) -> None:
        self._subjects, self._places = subjects, EventPlaces()

    async def append(self, overlay: Overlay, stream: str, items: Sequence[Item], expected: int) -> None:
        """Append events to a stream at a revision. Raises `RevisionConflict`."""
        actual = await self._revision(overlay, stream)
        if actual != expected:
            raise RevisionConflict(stream, expected, actual)
        self._write(overlay, stream, items, actual)

    async def append_where(
        self, overlay: Overlay, stream: str, items: Sequence[Item], query: Tagged, after: int
    ) -> list[int]:
        """Append events if no event behind a position matches; return a list of the last position alone.

        The commit replaces the position, which is known only then. Raises `QueryConflict`.
        """
        for position in await find_positions(overlay, self._subjects, query, after, 1):
            raise QueryConflict(query, after, position)
        if not items:
            return [await self.last(overlay)]
        result = [PENDING + len(overlay.writes) + len(items) - 1]
        self._write(overlay, stream, items, await self._revision(overlay, stream))
        subject = self._subjects.stream(stream)
        overlay.after_commit(lambda sequences: result.__setitem__(0, sequences.get(subject, result[0])))
        return result

    async def last(self, overlay: Overlay) -> int:
        """Return the position of the last event; 0 if there is none."""
        record = await overlay.last(self._subjects.events)
        return 0 if record is None else record.sequence

    async def read_all(self, overlay: Overlay, after: int, limit: int) -> list[RecordedEvent]:
        """Return the first events of all streams behind a position."""
        return [*map(event_of, await overlay.page(self._subjects.events, after, limit))]

    async def read(self, overlay: Overlay, stream: str, after: int, limit: int) -> list[RecordedEvent]:
        """Return the first events of a stream behind a revision."""
        subject = self._subjects.stream(stream)
        events = [event_of(each) for each in await self._page(overlay, subject, after, limit)]
        if events:
            self._places.note(subject, events[-1].revision, events[-1].position)
        return events

    async def read_where(self, overlay: Overlay, query: Tagged, after: int, limit: int) -> list[RecordedEvent]:
        """Return the first events behind a position that match a query."""
        positions = await find_positions(overlay, self._subjects, query, after, limit)
        return [*map(event_of, await read_events(overlay, positions))]

    async def save_snapshot(self, overlay: Overlay, stream: str, revision: int, item: Item) -> None:
        """Save the state of a stream, unless a snapshot of a later revision is saved."""
        subject = self._subjects.snapshot(stream)
        saved = await overlay.get(subject)
        if saved is None or saved.meta["revision"] <= revision:
            place = self._places.find(self._subjects.stream(stream), revision)
            meta = {"stream": stream, "revision": revision, "headers": item.headers, "place": place}
            overlay.write(Write(subject, meta, item.body))

    async def snapshot(self, overlay: Overlay, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream; None if there is none."""
        record = await overlay.get(self._subjects.snapshot(stream))
        if record is None:
            return None
        revision, place = record.meta["revision"], record.meta["place"]
        if place is not None:
            self._places.note(self._subjects.stream(stream), revision, place)
        return Snapshot(stream, revision, record.body, dict(record.meta["headers"]), record.at)

    async def _page(self, overlay: Overlay, subject: str, after: int, limit: int) -> list[Record]:
        last = await overlay.last(subject)
        if last is None or last.meta["revision"] <= after:
            return []
        place = await self._places.locate(overlay.stream, subject, after, last)
        return await overlay.page(subject, place, limit)

    async def _revision(self, overlay: Overlay, stream: str) -> int:
        last = await overlay.last(self._subjects.stream(stream))
        return 0 if last is None else int(last.meta["revision"])

    def _write(self, overlay: Overlay, stream: str, items: Sequence[Item], revision: int) -> None:
        subject = self._subjects.stream(stream)
        for number, item in enumerate(items, revision + 1):
            meta = {"stream": stream, "revision": number, "headers": item.headers}
            overlay.write(Write(subject, meta, item.body, rollup=False))
        for tag, meta in _tags_of(items, len(items)):
            overlay.write(Write(self._subjects.tag(tag), meta, rollup=False))
        if items:
            last = revision + len(items)
            overlay.after_commit(lambda sequences: self._places.note(subject, last, sequences.get(subject, PENDING)))


def _tags_of(items: Sequence[Item], distance: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each tag of each event, with the metadata of its message.

    distance: the number of messages from the first event to the first message of a tag.
    """
    for place, item in enumerate(items):
        tags = [*dict.fromkeys(item.tags)]
        for tag in tags:
            yield tag, {"distance": distance - place, "tags": tags, "type": item.headers.get(TYPE_HEADER)}
            distance += 1


def event_of(record: Record) -> RecordedEvent:
    """Return the event of a record."""
    meta = record.meta
    return RecordedEvent(
        meta["stream"], meta["revision"], record.sequence, record.body, dict(meta["headers"]), record.at
    )
