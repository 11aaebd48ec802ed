"""What can go wrong with a file, each with its own error that names the file and the cure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from modd.errors import ModdError
from modd.ports.errors import StoreError

E = TypeVar("E", bound=BaseException)


class StoreClosed(StoreError):
    """A store was used outside of its ``async with``."""

    def __init__(self, store: str) -> None:
        super().__init__(store, "the store is not open; use it inside `async with store:`")


class StoreForked(StoreError):
    """A store, or its file, was used in a process that was forked from one that had it open.

    SQLite's locks do not survive a fork, so the file could be damaged.
    """

    def __init__(self, store: str, opened_by: int, process: int) -> None:
        self.opened_by, self.process = opened_by, process
        super().__init__(
            store,
            f"process {opened_by} had the file open when process {process}, which uses it, was forked from it; fork "
            "before the store is opened and open it in each process, or start processes by spawn",
        )


class StoreElsewhere(StoreError):
    """A store was used in another thread than the one in whose loop it was opened."""

    def __init__(self, store: str) -> None:
        super().__init__(
            store,
            "it was opened in the loop of another thread; call it there (anyio.from_thread.run), or open a store of "
            "its own for each loop",
        )


class StoreBusy(StoreError):
    """Another process kept the file locked for longer than the time that was given to wait."""

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"another process keeps the file locked ({cause}); look for a program that has a transaction open, or "
            "give the store a longer timeout",
        )


class StoreReadOnly(StoreError):
    """The file or its folder cannot be written, or not be opened at all."""

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the file cannot be opened for writing ({cause}); the file and its folder must exist and be writable "
            "for the user of this process",
        )


class StoreFull(StoreError):
    """There is no space left."""

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"there is no space left ({cause}); what was acknowledged is safe, and the store goes on when there is "
            "space again",
        )


class StoreFailed(StoreError):
    """The disk failed to read or to write."""

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the disk failed ({cause}); what was acknowledged before is not touched: look at the disk and at the "
            "log of the system",
        )


class StoreCorrupt(StoreError):
    """The content of the file is damaged."""

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the file is damaged ({cause}); stop what uses it, copy it, run `python -m modd queue {store} doctor`, "
            "and restore a backup or let `sqlite3 ... .recover` save what is there",
        )


class NotAStore(StoreError):
    """The file is something else than a store; it was left as it is."""

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(store, f"the file is no store of modd ({cause}) and was left as it is; give another path")


class NewerStore(StoreError):
    """The file was written by a newer modd; it was left as it is."""

    def __init__(self, store: str, version: int, known: int) -> None:
        self.version, self.known = version, known
        super().__init__(
            store,
            f"the file has version {version} of the schema and this modd knows those up to {known}; it was left as "
            "it is: upgrade modd",
        )


class TransactionInUse(ModdError, RuntimeError):
    """A transaction was used by another task than the one that began it, or after its end.

    It belongs to one task, so that what it commits is known.
    """

    def __init__(self, what: str, is_open: bool) -> None:
        self.what = what
        super().__init__(
            f"{what} by another task than the one that began the transaction; do it in that task, or start the task "
            "before the transaction"
            if is_open
            else f"{what} in a transaction that has ended; keep what belongs together inside its `async with`"
        )


class AnswerNeeded(ModdError, RuntimeError):
    """A call inside a transaction needs an answer that is had only when the transaction commits."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"{what} needs an answer at once, and this transaction collects its writes until it commits; use "
            "store.transaction(own_writes=True), or call it before the transaction"
        )


class TransactionTimeout(ModdError, TimeoutError):
    """A transaction that reads its own writes took longer than it may: nobody else can write meanwhile."""

    def __init__(self, store: str, limit: float) -> None:
        self.store, self.limit = store, limit
        super().__init__(
            f"{store}: a transaction with own_writes=True took more than {limit:g} s and was rolled back; do slow "
            "things before it, or give it a longer limit"
        )


KINDS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_LOCKED: StoreBusy,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_CANTOPEN: StoreReadOnly,
    sqlite3.SQLITE_PERM: StoreReadOnly,
    sqlite3.SQLITE_AUTH: StoreReadOnly,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_IOERR: StoreFailed,
    sqlite3.SQLITE_PROTOCOL: StoreBusy,
    sqlite3.SQLITE_NOLFS: StoreFailed,
    sqlite3.SQLITE_CORRUPT: StoreCorrupt,
    sqlite3.SQLITE_NOTADB: NotAStore,
}
"""The errors of a file by SQLite's primary result codes; the others are about statements and values."""


def is_of_store(error: BaseException) -> bool:
    """Whether the store failed, not the one who called it."""
    return _code(error) in KINDS


def is_busy(error: BaseException) -> bool:
    """Whether others were in the way, so that it can go well the next time."""
    return KINDS.get(_code(error)) is StoreBusy


def is_damage(error: BaseException) -> bool:
    """Whether what was read makes no sense."""
    return KINDS.get(_code(error)) in (StoreCorrupt, NotAStore)


def is_refused_write(error: BaseException | None) -> bool:
    """Whether a connection that only reads was to write; nothing is wrong with the file then."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY


@contextmanager
def translating(store: str) -> Iterator[None]:
    """What tells in the block of a store's failure is raised as the error for that, caused by SQLite's."""
    try:
        yield
    except Exception as error:
        named = translated(store, error)
        raise named from named.__cause__


def translated(store: str, error: E) -> E | StoreError:
    """The error that tells of a store's failure, caused by SQLite's; another one as it is."""
    kind = KINDS.get(_code(error))
    if kind is None:
        return error
    named = kind(store, f"{getattr(error, 'sqlite_errorname', 'SQLite')}: {error}")
    named.__cause__ = error
    return named


def _code(error: BaseException) -> int:
    """The primary result code; -1 for what is no error of SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1
