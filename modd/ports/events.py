"""The port for events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeAlias

import msgspec

from modd.ports.items import Item
from modd.ports.tagged import Tagged

EventPage: TypeAlias = tuple[int, list[bytes]]
"""A page of a stream: the revision of the first event, and the bodies of the events."""


PositionedBody: TypeAlias = tuple[int, bytes, dict[str, str]]
"""An event by its position, with its body and its headers."""


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event in a store.

    stream: the name of its stream.
    revision: its number in its stream, from 1.
    position: its place in the whole store, from 1; later events have higher positions, in some stores with gaps.
    body: the content, in bytes as they were appended.
    headers: texts about the content, such as its type; may be empty.
    at: the time of the append, in seconds since 1970.
    """

    stream: str
    revision: int
    position: int
    body: bytes
    headers: dict[str, str]
    at: float


class Snapshot(msgspec.Struct, frozen=True):
    """The state of a stream at a revision, so that the events up to it need not be read.

    stream: the name of the stream.
    revision: the number of the last event that the state includes.
    body: the state, in bytes as they were saved.
    headers: texts about the state, such as its type; may be empty.
    at: the time of saving, in seconds since 1970.
    """

    stream: str
    revision: int
    body: bytes
    headers: dict[str, str]
    at: float


class EventStore(Protocol):
    """Stores events for ever: in streams, ordered by revision, and all together, ordered by position.

    Revisions count from 1; a stream without events is at 0. If a reader sees an event, it sees all events before it, so
    that a follower can continue after the last position. Of an `Item` only body, headers and tags are stored; a key, a
    delay or an id is `InvalidOption`, as are revisions and positions below 0.

    Tags. An event has the tags of its `Item`, whichever method appends it; an event that is read does not show them.
    `Tagged` finds events by tags and types, at a cost that follows the rarest of the tags. A decision that rests on
    events of several streams is safe with `append_where`: read the events of a query, decide, and append on condition
    that no other event matches.
    """

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Append events to a stream, all or none, and return its new revision.

        Raises `RevisionConflict` if the stream is not at ``expected_revision``, even if there are no events to append.
        """
        ...

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of a stream after a revision, events that are appended meanwhile included."""
        ...

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams after a position, events that are appended meanwhile included."""
        ...

    def pages(self, stream: str, after: int = 0) -> AsyncIterator[EventPage]:
        """Iterate over the bodies of a stream after a revision, a page at a time, without their headers.

        Each page is the revision of its first event, and a list of bodies, which is never empty. The first page has up
        to 256 events, each further one up to 4 times as many, at most 4 096. The page that has fewer is the last one:
        events that are appended after it was read are not included. This is the fastest way to fold a stream::

            async for revision, bodies in events.pages("invoice/7"):
                for revision, body in enumerate(bodies, revision): ...
        """
        ...

    async def page(self, after: int, limit: int, headers: bool = True) -> list[PositionedBody]:
        """Return the first events of all streams after a position, up to ``limit``, each as position, body and headers.

        headers: False to leave the headers empty, which saves decoding them.
        """
        ...

    async def last(self) -> int:
        """Return the position of the last event in the store; 0 if there is none."""
        ...

    async def wait(self, after: int, seconds: float) -> None:
        """Return as soon as there is an event after a position, at the latest after ``seconds``.

        An event of another process counts as well. The call may return early: look with `page`, and wait again.
        """
        ...

    def read_where(self, query: Tagged, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """Iterate over the events of all streams that match a query, after a position, in the order of positions.

        Events that are appended while the iteration runs may be left out. The position of the last event, or ``after``
        if there is none, is safe as the ``after`` of `append_where`: an event that was left out is a conflict there.
        """
        ...

    async def append_where(self, stream: str, items: Sequence[bytes | Item], query: Tagged, after: int) -> int | None:
        """Append events to a stream, all or none, if no event after a position matches the query.

        Return the last position of the store after the append, which is that of its last event: the ``after`` of the
        next append with the same query. Return None in a transaction that defers its writes: the commit decides.

        The stream may be at any revision. Events that the same transaction has appended before are events like others:
        if one matches behind ``after``, it is a conflict. A transaction that defers its writes cannot know the
        positions of its own events, so use an immediate one for several decisions that rest on each other.

        Raises `QueryConflict` if an event behind ``after`` matches, even if there are no events to append.
        """
        ...

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Save the state of a stream at a revision in place of the saved one.

        A snapshot of an earlier revision than the saved one changes nothing.
        """
        ...

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream; None if there is none."""
        ...
