"""Locks between processes: on small files beside the store's file, never on the file itself.

When a process closes a file, it gives up every lock that it has on that file, SQLite's locks included. So only SQLite
opens the store's file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from stat import S_IMODE, S_IWUSR

from modd.ports.errors import StoreError
from modd.stores.sqlite.errors import StoreFailed, StoreFull, StoreReadOnly

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]


LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = 1, 2, 4, 8
"""The operations of `flock`, with the same values on every system that has it."""


def flock(file: int, operation: int) -> None:
    """Lock an open file. Raises BlockingIOError if it is locked already, OSError where there are no locks.

    A lock of ``fcntl.lockf`` would not do: it belongs to the process, so that two stores of one process share it.
    """
    if fcntl is None:
        raise OSError("this system has no flock")
    fcntl.flock(file, operation)


class FileLock:
    """A small file that exists to be locked. A lock ends with its process, however the process ends; the file stays.

    path: the file, which is created if it is missing. like: a file whose permissions it gets. lock: the function that
    locks an open file. Raises OSError.
    """

    def __init__(self, path: str, like: str, lock: Callable[[int, int], None] = flock) -> None:
        self._lock = lock
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, S_IMODE(os.stat(like).st_mode) | S_IWUSR)

    def works(self) -> bool:
        """True if files can be locked here; some systems and some network file systems cannot."""
        try:
            self.try_shared()
            self.unlock()
        except OSError:
            return False
        return True

    def try_exclusive(self) -> bool:
        """Try to get the exclusive lock. A lock that was held before is given up, even if this fails."""
        return self._try(LOCK_EX)

    def try_shared(self) -> bool:
        """Try to get a shared lock. A lock that was held before is given up, even if this fails."""
        return self._try(LOCK_SH)

    def unlock(self) -> None:
        """Give up the lock."""
        self._lock(self._file, LOCK_UN)

    def close(self) -> None:
        """Give up the lock, for processes that were forked from this one too, and close the file."""
        with suppress(OSError):
            self.unlock()
        os.close(self._file)

    def _try(self, kind: int) -> bool:
        try:
            self._lock(self._file, kind | LOCK_NB)
        except BlockingIOError:
            return False
        return True


ERRORS: dict[int | None, type[StoreFull | StoreFailed | StoreReadOnly]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EIO: StoreFailed,
    errno.ENOLCK: StoreFailed,
}
"""The error of the store for error numbers of the system; every other number means that a file cannot be written."""


def translate_os_error(store: str, error: OSError) -> StoreError:
    """Return the `StoreError` for a file beside the store's file that the system could not create or change."""
    return ERRORS.get(error.errno, StoreReadOnly)(store, error)
