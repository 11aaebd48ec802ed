"""Turns among the processes that write to a file, so that none of them waits long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import uniform
from time import monotonic, sleep
from typing import TypeVar

from modd.stores.sqlite.connection import ConnectionThread, LoopThread
from modd.stores.sqlite.file_lock import FileLock
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


class WriteTurns:
    """A lock on a separate file, held for each transaction.

    It is for fairness alone: SQLite's own locks keep the file whole, but SQLite polls for them in growing pauses, so
    that a busy process could starve every other one. Here every process polls about once per millisecond.

    path: the store's file. timeout: seconds to wait for a turn; after that the work starts without one, and SQLite
    says that the file is locked.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._lock, self._timeout = FileLock(f"{path}-modd-turn", path), timeout
        self._works = self._lock.works()

    def run(self, work: Callable[[Connection], T], connection: Connection) -> T:
        """Do the work in a turn. In an open transaction it starts at once, because SQLite has locked the file then."""
        if connection.in_transaction or not self._works:
            return work(connection)
        self._wait()
        try:
            return work(connection)
        finally:
            with suppress(OSError):
                self._lock.unlock()

    def close(self) -> None:
        """Close the lock's file."""
        self._lock.close()

    def _wait(self) -> None:
        end = monotonic() + self._timeout
        with suppress(OSError):  # no lock can be had at the moment
            while not self._lock.try_exclusive() and monotonic() < end:
                sleep(uniform(0.0005, 0.0015))  # this is the connection's thread, not the loop's


class FairConnectionThread(ConnectionThread):
    """A `ConnectionThread` whose work takes turns with other processes, while there are any.

    has_others: tells if other processes may use the file.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        loop: LoopThread | None,
        turns: WriteTurns,
        has_others: Callable[[], bool],
    ) -> None:
        super().__init__(connect, loop)
        self._turns, self._has_others = turns, has_others

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in the connection's thread, to its end, and return its result."""
        return await super().run(partial(self._turns.run, work) if self._has_others() else work)
