"""The interface between the engine and what moves along the log: flows, and the builds of projections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

INLINE = ""
"""Stands for the key of a part that is written in the commit of the events, so that it has no cursor."""


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event of the log, still encoded.

    position: its number in the whole store, from 1.
    type: the name of its type on the wire; empty if its bytes do not tell.
    body: the event, as a codec has encoded it.
    headers: its ids and its stamps, as `modd.aggregate` writes them; may be empty.
    """

    position: int
    type: str
    body: bytes
    headers: dict[str, str]


class EventFailure(msgspec.Struct, frozen=True):
    """An event that a track could not do.

    position: that of the event. error: the reason.
    """

    position: int
    error: Exception


class TrackBatch(Protocol):
    """The writes for some events, or for some due times: decided, and not written yet."""

    @property
    def failed(self) -> EventFailure | None:
        """The first event that could not be done; the batch has what came before it. None if all were done."""
        ...

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to write, so that the position may move in memory alone."""
        ...

    @property
    def has_appended(self) -> bool:
        """True if `write` has appended events to the log, so that there are more for the track."""
        ...

    async def write(self) -> None:
        """Write in the open transaction, behind the swap of the cursor; its errors end the transaction."""
        ...

    def done(self) -> None:
        """Keep in memory what was written; called after the commit, and not if it failed."""
        ...


class Track(Protocol):
    """A flow, or one build of a projection, as it moves along the log.

    The engine holds its cursor: each commit of the track begins with a swap of the cursor, so that of two processes one
    gets a conflict; then the engine calls `forget`, loads the cursor anew, and does the events again.
    """

    @property
    def key(self) -> str:
        """The key of its cursor, such as ``flow fulfilment`` or ``projection sales 3``."""
        ...

    @property
    def part(self) -> str:
        """The name of the flow or the projection."""
        ...

    @property
    def types(self) -> frozenset[str] | None:
        """The names of the types on the wire that it has functions for, former names included; None for all.

        Events whose bytes tell no type reach only a track for all.
        """
        ...

    async def prepare(self, events: Sequence[LoggedEvent]) -> TrackBatch:
        """Decide about events of its types, in order, without writing."""
        ...

    async def next_due(self) -> float | None:
        """Return the time, by the clock of the store, at which `prepare_due` has something to do; None for never."""
        ...

    async def prepare_due(self, now: float) -> TrackBatch:
        """Decide about everything that is due, without writing."""
        ...

    async def at_end(self) -> bool:
        """Do what is to be done when all events up to the end of the log are done, such as the switch of a build.

        Return True if the tracks of the part have changed by it. Called outside of a transaction, at each arrival at
        the end of the log.
        """
        ...

    def forget(self) -> None:
        """Drop all that is kept in memory, because a second process may have written."""
        ...


class TrackSource(Protocol):
    """A part of a follower, which tells its tracks."""

    @property
    def name(self) -> str:
        """The name of the flow or the projection."""
        ...

    async def live(self) -> str | None:
        """Return the key of the cursor that `Follower.lag` tells of: that of the build that serves; None before.

        `INLINE` for a part that is written in the commit of the events.
        """
        ...

    async def open(self) -> Sequence[Track]:
        """Return the tracks that this process is to move now, and see to it that each has a cursor (`Cursors.create`).

        Called when the follower begins, and again when a cursor is gone or `Track.at_end` has returned True: the engine
        never makes a cursor, so that a build that was dropped does not begin anew.
        """
        ...
