"""Cursors: the positions of tracks in the log, as documents that are swapped."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from modd.ports.documents import Documents
from modd.ports.errors import DocumentConflict

SPACE = "modd tracks"
"""The space of the documents."""


class CursorFailure(msgspec.Struct, frozen=True):
    """The event before which a track stands, because it fails.

    position: that of the event.
    reason: type and text of the last error.
    attempts: number of failed attempts.
    retry_at: the time of the next attempt.
    """

    position: int
    reason: str
    attempts: int
    retry_at: float


class Cursor(msgspec.Struct, frozen=True):
    """The position of a track.

    position: that of the last event that it has done, 0 at first.
    turn: number of its commits.
    failure: the event before which it stands, or None.
    """

    position: int = 0
    turn: int = 0
    failure: CursorFailure | None = None

    def moved(self, position: int, failure: CursorFailure | None = None) -> Cursor:
        """Return the next cursor, at a position."""
        return Cursor(position, self.turn + 1, failure)


class Cursors:
    """The cursors of a store.

    store: a `modd.ports.Storage`.
    """

    def __init__(self, store: Any) -> None:
        self._documents: Documents = store.documents(SPACE)

    async def load(self, key: str) -> Cursor | None:
        """Return the cursor of a track; None if it has none, because its build was dropped or never begun."""
        body = await self._documents.get(key)
        return None if body is None else decode(body)

    async def create(self, key: str, position: int = 0) -> None:
        """Make a cursor unless there is one; in an open transaction, `DocumentConflict` is raised by its commit."""
        if await self._documents.get(key) is None:
            with suppress(DocumentConflict):  # another process was faster
                await self._documents.swap(key, encode(Cursor(position)), None)

    async def swap(self, key: str, after: Cursor | None, before: Cursor) -> None:
        """Store the next cursor, or with None remove it. Raises `DocumentConflict` if the stored one has moved.

        Make it the first write of a deferred transaction, so that no savepoint is needed.
        """
        await self._documents.swap(key, None if after is None else encode(after), encode(before))


encode = msgspec.json.Encoder().encode


decode = msgspec.json.Decoder(Cursor).decode
