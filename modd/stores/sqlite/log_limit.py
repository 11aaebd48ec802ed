"""The limit of the WAL's length, beside transactions that read without end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio

from modd.concurrency.blocks import async_block
from modd.ports.errors import StoreError
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.sql import Connection
from modd.stores.sqlite.writer import Writer

LIMIT = 8 * 2**20
"""Bytes of the WAL from which on a new snapshot waits for the open ones."""


MOMENT = 0.5
"""Most seconds that a new snapshot waits."""


PAUSE = 5.0
"""Seconds between two waits, if the first one was in vain because of a long transaction."""


class LogLimit:
    """Keeps the WAL short: it grows as long as there is a snapshot open that began while it was in use.

    SQLite begins the WAL anew only after all of it was copied into the file, and no snapshot needs it. With snapshots
    that overlap without end there is no such moment. So when the WAL is long, a new snapshot waits until no other one
    is open, and has the WAL copied. Snapshots that begin then read the file alone, and the next commit begins the WAL
    anew.

    store: the path of the file. writer: copies the WAL.
    """

    def __init__(self, store: str, writer: Writer) -> None:
        self._store, self._writer = store, writer
        self._open = 0
        """Number of open snapshots."""
        self._all_ended = anyio.Event()
        self._next_wait = 0.0

    @async_block
    async def count(self) -> AsyncIterator[None]:
        """Count a snapshot as open during the block; wait a moment before that if the WAL is long."""
        if self._is_long():
            await self._make_room()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._all_ended.set()

    def _is_long(self) -> bool:
        try:
            return os.path.getsize(f"{self._store}-wal") > LIMIT
        except OSError:  # there is none
            return False

    async def _make_room(self) -> None:
        if anyio.current_time() < self._next_wait:
            return
        with anyio.move_on_after(MOMENT) as scope, suppress(StoreError):
            if self._open:
                self._all_ended = anyio.Event()
                await self._all_ended.wait()
            async with self._writer.reserve() as thread:
                with translate_errors(self._store):
                    await thread.run(_checkpoint)
        if scope.cancelled_caught:
            self._next_wait = anyio.current_time() + PAUSE


def _checkpoint(connection: Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
