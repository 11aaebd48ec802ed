"""The limit of the WAL's length, beside transactions that read without end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from math import inf

import anyio

from modd.concurrency.blocks import async_block
from modd.ports.errors import StoreError
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.sql import Connection
from modd.stores.sqlite.writer import Writer

LIMIT = 8 * 2**20
"""Bytes of the WAL from which on a new snapshot waits for the open ones."""


MOMENT = 0.5
"""Most seconds that a new snapshot and all commits wait."""


PAUSE = 5.0
"""Seconds until the next wait, after one that was in vain: because of a long transaction, or another process."""


class LogLimit:
    """Keeps the WAL short: it grows as long as there is a snapshot open that began while it was in use.

    SQLite begins the WAL anew only after all of it was copied into the file, and no snapshot needs it. With snapshots
    that overlap without end there is no such moment. So when the WAL is long, commits and new snapshots wait until no
    snapshot is open, and the WAL is copied. Snapshots that begin then read the file alone, and the next commit begins
    the WAL anew.

    store: the path of the file. writer: copies the WAL.
    """

    def __init__(self, store: str, writer: Writer) -> None:
        self._store, self._writer = store, writer
        self._open = 0
        """Number of open snapshots."""
        self._all_ended, self._is_needed, self._room = anyio.Event(), anyio.Event(), anyio.Event()
        self._room.set()
        self._is_being_made = False
        """True from the commit after which the WAL is too long until the next one can shorten it."""
        self._next_try = -inf

    def check(self) -> None:
        """Have room made if the WAL is long, after a commit; without snapshots SQLite does so by itself."""
        if self._is_being_made:
            self._is_being_made = not self._room.is_set()  # the next commit shortens the file
        elif self._open and self._is_long() and anyio.current_time() >= self._next_try:
            self._is_being_made, self._room = True, anyio.Event()
            self._is_needed.set()

    @async_block
    async def count(self) -> AsyncIterator[None]:
        """Count a snapshot as open during the block; wait a moment before that if the WAL is long."""
        if not self._room.is_set():
            await self._room.wait()
        if not self._open:
            self._all_ended = anyio.Event()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._all_ended.set()

    async def run(self) -> None:
        """Make room whenever the WAL is long."""
        while True:
            await self._is_needed.wait()
            self._is_needed = anyio.Event()
            try:
                await self._make_room()
            finally:
                self._room.set()

    def _is_long(self) -> bool:
        try:
            return os.path.getsize(f"{self._store}-wal") > LIMIT
        except OSError:  # there is none
            return False

    async def _make_room(self) -> None:
        with anyio.move_on_after(MOMENT) as scope, suppress(StoreError):
            async with self._writer.reserve() as thread:
                await self._all_ended.wait()
                with translate_errors(self._store):
                    await thread.run(_checkpoint)
        if scope.cancelled_caught:
            self._next_try = anyio.current_time() + PAUSE


def _checkpoint(connection: Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
