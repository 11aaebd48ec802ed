"""Turns among the stores that write to a file: in one process or in many, one at a time writes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import uniform
from time import monotonic, sleep
from typing import TypeVar

from modd.concurrency.loop_thread import LoopThread
from modd.stores.errors import StoreBusy
from modd.stores.sqlite.connection import ConnectionThread
from modd.stores.sqlite.file_lock import FileLock, translate_os_error
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


TURN_FILE = "-modd-turn"
"""The end of the name of the file on which stores lock, beside that of the store."""


class WriteTurns:
    """A lock on a separate file, held for each transaction that writes, and for the checkpoint after it.

    SQLite's own locks would do for the commits alone. This lock is needed for two reasons: some versions of SQLite
    damage a WAL when a checkpoint and a commit run at once (see `modd.stores.sqlite.journal_mode`), and SQLite polls
    for its locks in growing pauses, so that a busy process could starve every other one. Here every process polls
    about once per millisecond.

    path: the store's file. timeout: seconds to wait for a turn.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path, self._timeout = path, timeout
        self._lock = FileLock(f"{path}{TURN_FILE}", path)
        self.works = self._lock.works()
        """True if files can be locked here; if not, work starts without a turn."""
        self._is_held = False

    def run(self, work: Callable[[Connection], T], connection: Connection) -> T:
        """Do the work in a turn, which lasts until the connection has no open transaction.

        Raises `StoreBusy` if there is no turn within the timeout.
        """
        if self.works and not self._is_held:
            self._take()
        try:
            return work(connection)
        finally:
            if self._is_held and not connection.in_transaction:
                self._give_up()

    def close(self) -> None:
        """Close the lock's file."""
        self._lock.close()

    def _take(self) -> None:
        end = monotonic() + self._timeout
        try:
            while not self._lock.try_exclusive():
                if monotonic() >= end:
                    raise StoreBusy(self._path, "it holds the lock beside the file, on which writers take turns")
                sleep(uniform(0.0005, 0.0015))  # this is the connection's thread, not the loop's
        except OSError as error:
            raise translate_os_error(self._path, error) from error
        self._is_held = True

    def _give_up(self) -> None:
        self._is_held = False
        with suppress(OSError):  # the file is closed, and with it the lock is gone
            self._lock.unlock()


class WriterThread(ConnectionThread):
    """A `ConnectionThread` whose work takes turns with the other stores of the file."""

    def __init__(self, connect: Callable[[], Connection], loop: LoopThread | None, turns: WriteTurns) -> None:
        super().__init__(connect, loop)
        self._turns = turns

    async def run(self, work: Callable[[Connection], T], *, shield: bool = True) -> T:
        """Do the work in the connection's thread, to its end, and return its result."""
        return await super().run(partial(self._turns.run, work), shield=shield)
