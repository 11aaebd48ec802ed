"""The port for what has happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from modd.ports.items import Item


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event as it was recorded.

    revision: the how many-th event of its stream it is, position: of all streams together, both from 1.
    at: when it was recorded, in seconds since 1970.
    """

    stream: str
    revision: int
    position: int
    body: bytes
    headers: dict[str, str]
    at: float


class Snapshot(msgspec.Struct, frozen=True):
    """What a stream had come to at a revision, to spare the reading of the events up to there."""

    stream: str
    revision: int
    body: bytes
    headers: dict[str, str]
    at: float


class EventStore(Protocol):
    """Keeps events for ever: each stream in the order of its revisions, all together in the order of their positions.

    Revisions count from 1; a stream that has no event is at 0. Positions have no gap that a reader could jump over: as
    soon as an event can be read, all those before it can. Of an `Item` the body and the headers are kept; a key, a
    delay or an id is `InvalidOption`, as are revisions and positions below 0.
    """

    async def append(self, stream: str, events: Sequence[bytes | Item], expected_revision: int) -> int:
        """Record events at the end of a stream, all or none, and return its revision after them.

        Raises `Conflict` when the stream is not at ``expected_revision``, also for no events at all.
        """
        ...

    def read(self, stream: str, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """The events of a stream that come after a revision, in order, up to the one that is the last at the end."""
        ...

    def read_all(self, after: int = 0) -> AsyncIterator[RecordedEvent]:
        """The events of all streams that come after a position, in order, up to the one that is the last at the end."""
        ...

    async def save_snapshot(self, stream: str, revision: int, body: bytes | Item) -> None:
        """Keep what a stream had come to at a revision, in place of what was kept of an earlier one.

        One of an earlier revision than what is kept changes nothing.
        """
        ...

    async def snapshot(self, stream: str) -> Snapshot | None:
        """What was kept of a stream last, None if nothing was."""
        ...
