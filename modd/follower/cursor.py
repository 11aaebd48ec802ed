"""Cursors: the positions of tracks in the log, as documents that are swapped."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import msgspec

from modd.ports.errors import DocumentConflict
from modd.ports.storage import Storage

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


class TrackCursor(msgspec.Struct, frozen=True):
    """The position of a track.

    position: that of the last event that it has done, 0 at first.
    turn: number of its commits.
    failure: the event before which it stands, or None.
    """

    position: int = 0
    turn: int = 0
    failure: CursorFailure | None = None

    def moved(self, position: int, failure: CursorFailure | None = None) -> TrackCursor:
        """Return the next cursor, at a position."""
        return TrackCursor(position, self.turn + 1, failure)


class StoredCursor(msgspec.Struct, frozen=True):
    """A cursor as it was read.

    cursor: the cursor. body: its bytes, which the next swap expects.
    """

    cursor: TrackCursor
    body: bytes


class Cursors:
    """The cursors of a store.

    store: a `modd.ports.Storage`.
    """

    def __init__(self, store: Storage) -> None:
        self._documents = store.documents(SPACE)

    async def load(self, key: str) -> StoredCursor | None:
        """Return the cursor of a track; None if it has none, because its build was dropped or never begun."""
        body = await self._documents.get(key)
        return None if body is None else StoredCursor(decode(body), body)

    async def bodies(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the bytes of the cursors of tracks, as far as they have one."""
        return await self._documents.get_many(keys)

    async def all(self) -> dict[str, TrackCursor]:
        """Return the cursors of all tracks, by their keys."""
        found: dict[str, TrackCursor] = {}
        after = ""
        while page := await self._documents.items(after):
            found |= {key: decode(body) for key, body in page}
            after = page[-1][0]
        return found

    async def create(self, key: str, position: int = 0) -> None:
        """Make a cursor unless there is one.

        In a transaction that defers its writes, `DocumentConflict` is raised by its commit if a second one was faster.
        """
        if await self._documents.get(key) is None:
            with suppress(DocumentConflict):
                await self._documents.swap(key, encode(TrackCursor(position)), None)

    async def swap(self, key: str, after: TrackCursor | None, before: StoredCursor) -> StoredCursor | None:
        """Store the next cursor, or with None remove it. Raises `DocumentConflict` if the stored one has moved.

        Make it the first write of a transaction that defers its writes, so that no savepoint is needed.
        """
        body = None if after is None else encode(after)
        await self._documents.swap(key, body, before.body)
        return None if after is None or body is None else StoredCursor(after, body)

    async def touch(self, key: str) -> None:
        """Count up the turn of a cursor in the open immediate transaction, so that its followers load all anew."""
        stored = await self.load(key)
        if stored is not None:
            await self.swap(key, stored.cursor.moved(stored.cursor.position, stored.cursor.failure), stored)

    async def skip(self, key: str, position: int | None) -> bool:
        """Pass over an event in the open immediate transaction; False if the track does not stand before it."""
        stored = await self.load(key)
        failure = None if stored is None else stored.cursor.failure
        if stored is None or failure is None or failure.position != position:
            return False
        await self.swap(key, stored.cursor.moved(failure.position), stored)
        return True


encode = msgspec.json.Encoder().encode


decode = msgspec.json.Decoder(TrackCursor).decode
