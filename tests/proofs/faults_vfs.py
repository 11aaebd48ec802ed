"""A file system whose n-th operation fails."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

import apsw
import msgspec

from modd.ports import StoreError
from modd.stores.errors import StoreBusy
from modd.stores.sqlite.errors import NotAStore, StoreCorrupt, StoreFailed, StoreFull, StoreReadOnly

SHORT = -1
"""In place of a result code: nothing is read, as at the end of a file."""


class Kind(msgspec.Struct, frozen=True):
    """A kind of failure.

    codes: by operation, with which result code of SQLite it fails. told: what callers are told then; `StoreBusy`, too,
    as long as one connection is in the way of another because of it.
    """

    name: str
    codes: Mapping[str, int]
    told: tuple[type[StoreError], ...]


BUSY = Kind("busy", {"lock": apsw.SQLITE_BUSY, "begin": apsw.SQLITE_BUSY}, (StoreBusy,))
FULL = Kind("full", dict.fromkeys(("write", "truncate", "sync"), apsw.SQLITE_FULL), (StoreFull,))
FAILED = Kind(
    "I/O error",
    {
        "open": apsw.SQLITE_CANTOPEN,
        "read": apsw.SQLITE_IOERR_READ,
        "write": apsw.SQLITE_IOERR_WRITE,
        "sync": apsw.SQLITE_IOERR_FSYNC,
        "truncate": apsw.SQLITE_IOERR_TRUNCATE,
        "lock": apsw.SQLITE_IOERR_LOCK,
        "delete": apsw.SQLITE_IOERR_DELETE,
    },
    (StoreFailed, StoreReadOnly),
)
UNSYNCED = Kind("failed sync", {"sync": apsw.SQLITE_IOERR_FSYNC}, (StoreFailed,))
CUT = Kind("short read", {"read of a WAL": SHORT}, (StoreFailed,))
"""Of a WAL alone: elsewhere SQLite takes what is missing for the end of a file that was being written when the power
went. So there it means damage and not a failure, and what `power_disk` leaves is what it can be.
"""
KINDS = {kind.name: kind for kind in (BUSY, FULL, FAILED, UNSYNCED, CUT)}
EMPTY = Kind("page without content", {"read": SHORT}, (StoreCorrupt, NotAStore))
UNOPENED = Kind("file that cannot be opened", {"open": apsw.SQLITE_CANTOPEN}, (StoreReadOnly,))


class Faults:
    """Which operations fail: of those of this kind, so many from the first on. count: how many there were."""

    def __init__(self, kind: Kind, first: int = 0, many: int = 0) -> None:
        self.kind, self._fails = kind, range(first, first + many)
        self._lock = Lock()
        self.count = 0

    def begin(self, skipped: int = 0) -> None:
        """Have one fail from now on, after so many others."""
        self._fails = range(self.count + skipped, self.count + skipped + 1)

    def before(self, statement: str) -> None:
        """Count a statement that takes a lock: a WAL is locked in shared memory, where no file system is asked."""
        if statement == "BEGIN IMMEDIATE":
            self.check("begin")

    def check(self, operation: str) -> bool:
        """Count an operation, and fail if it is to; True if there is to be nothing to read."""
        code = self.kind.codes.get(operation)
        if code is None:
            return False
        with self._lock:
            fails = self.count in self._fails
            self.count += 1
        if fails and code != SHORT:
            raise apsw.exception_for(code)
        return fails


class FailingFile(apsw.VFSFile):
    """A file of the default file system that can fail; it is never synced, which is what takes time."""

    def __init__(self, faults: Faults, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._faults = faults
        self._is_wal = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        nothing = self._faults.check("read") or (self._is_wal and self._faults.check("read of a WAL"))
        return b"" if nothing else super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._faults.check("write")
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._faults.check("truncate")
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._faults.check("sync")

    def xLock(self, level: int) -> None:
        self._faults.check("lock")
        super().xLock(level)


class FailingVFS(apsw.VFS):
    """The default file system, which can fail."""

    def __init__(self, name: str, faults: Faults) -> None:
        self._faults = faults
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> FailingFile:
        self._faults.check("open")
        return FailingFile(self._faults, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._faults.check("delete")
        super().xDelete(filename, syncdir)
