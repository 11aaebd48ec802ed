"""Who uses a file: locks on a small file beside it, which is never the file itself.

A process that closes a file gives up all that SQLite has locked in it, so nobody but SQLite opens that one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import uniform
from stat import S_IMODE, S_IWUSR
from time import monotonic, sleep
from typing import TypeVar

from modd.ports.errors import StoreError
from modd.stores.sqlite.connection import Link, Loop
from modd.stores.sqlite.errors import StoreFailed, StoreFull, StoreReadOnly
from modd.stores.sqlite.sql import Connection

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]


LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = 1, 2, 4, 8
"""The same on all systems that have them."""


def flock(file: int, operation: int) -> None:
    """Lock an open file. Raises BlockingIOError when somebody else has a lock on it, and OSError where there are none.

    Not by ``fcntl``: such a lock belongs to the process, so that two stores of one would not see each other.
    """
    if fcntl is None:
        raise OSError("this system has no flock")
    fcntl.flock(file, operation)


class Locked:
    """A small file that is there to be locked. The lock goes away with the process, however that ends; the file stays.

    path: of the file, which is made if there is none. like: a file whose permissions it gets. Raises OSError.
    """

    def __init__(self, path: str, like: str, lock: Callable[[int, int], None] = flock) -> None:
        self._lock = lock
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, S_IMODE(os.stat(like).st_mode) | S_IWUSR)

    def works(self) -> bool:
        """Whether files can be locked here; on some systems and on some file systems of a network they cannot."""
        try:
            self.together()
            self.leave()
        except OSError:
            return False
        return True

    def alone(self) -> bool:
        """Try to be the only one who holds it. What was held before is given up, even if this is not to be had."""
        return self._try(LOCK_EX)

    def together(self) -> bool:
        """Try to hold it together with others. What was held before is given up."""
        return self._try(LOCK_SH)

    def leave(self) -> None:
        """Hold nothing."""
        self._lock(self._file, LOCK_UN)

    def close(self) -> None:
        """Hold nothing any more; nor does a process that was forked from this one."""
        with suppress(OSError):
            self.leave()
        os.close(self._file)

    def _try(self, kind: int) -> bool:
        try:
            self._lock(self._file, kind | LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Presence(Locked):
    """What a store holds as long as it uses a file: alone, or together with others, who all hold the same then.

    Who waits to be let in makes the locked file longer, and so it is seen.

    path: of the store's file, which has to be there. Raises OSError.
    """

    def __init__(self, path: str, lock: Callable[[int, int], None] = flock) -> None:
        super().__init__(f"{path}-modd", path, lock)

    def knock(self) -> None:
        """Ask the one who is alone to let others in."""
        os.ftruncate(self._file, 1)

    def is_asked(self) -> bool:
        """Whether somebody wants to be let in."""
        return os.fstat(self._file).st_size > 0

    def answered(self) -> None:
        """Those who asked are let in now."""
        os.ftruncate(self._file, 0)


SYSTEM: dict[int | None, type[StoreFull | StoreFailed | StoreReadOnly]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EIO: StoreFailed,
}
"""The errors of a file by the system's error numbers; the others say that it may not be written."""


def of_system(store: str, error: OSError) -> StoreError:
    """The error that tells of a file beside the store's, which the system could not make or change."""
    return SYSTEM.get(error.errno, StoreReadOnly)(store, error)


T = TypeVar("T")


class Turnstile:
    """A lock on a file of its own, held for each transaction. Who waits for it looks again every millisecond or so.

    Only SQLite's own locks keep the file whole: this one is for fairness alone, and nobody waits for it for ever.

    timeout: for how many seconds to wait for a turn, before it is left to SQLite to say that the file is locked.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._locked, self._timeout = Locked(f"{path}-modd-turn", path), timeout
        self._works = self._locked.works()

    def run(self, work: Callable[[Connection], T], connection: Connection) -> T:
        """Do the work in a turn. One who has a transaction open has the file, and waits for nobody."""
        if connection.in_transaction or not self._works:
            return work(connection)
        self._wait()
        try:
            return work(connection)
        finally:
            with suppress(OSError):
                self._locked.leave()

    def close(self) -> None:
        """Take no turns any more."""
        self._locked.close()

    def _wait(self) -> None:
        end = monotonic() + self._timeout
        with suppress(OSError):  # no turns are to be had now
            while not self._locked.alone() and monotonic() < end:
                sleep(uniform(0.0005, 0.0015))  # in a thread


class FairLink(Link):
    """A connection that takes turns with other processes, as long as there are any."""

    def __init__(
        self, connect: Callable[[], Connection], loop: Loop | None, turnstile: Turnstile, has_others: Callable[[], bool]
    ) -> None:
        super().__init__(connect, loop)
        self._turnstile, self._has_others = turnstile, has_others

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of work to its end, whoever is cancelled meanwhile, and return what it returns."""
        return await super().run(partial(self._turnstile.run, work) if self._has_others() else work)
