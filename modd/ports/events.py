"""The port for events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from modd.ports.items import Item


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event in a store.

    stream: the name of its stream.
    revision: its number in its stream, from 1.
    position: its number in the whole store, from 1.
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
    that a follower can continue after the last position. Of an `Item` only body and headers are stored; a key, a delay
    or an id is `InvalidOption`, as are revisions and positions below 0.
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

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Save the state of a stream at a revision in place of the saved one.

        A snapshot of an earlier revision than the saved one changes nothing.
        """
        ...

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream; None if there is none."""
        ...
