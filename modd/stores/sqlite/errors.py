"""The errors of a store, and how those of SQLite become them: each names the file and the cure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import ClassVar, TypeVar

from modd.concurrency.blocks import block
from modd.ports.errors import StoreError
from modd.stores.errors import StoreBusy
from modd.stores.sqlite.damage import Damage, is_undecodable, undecodable_text
from modd.texts import escape_control

E = TypeVar("E", bound=BaseException)


class StoreForked(StoreError):
    """The store, or its file, was used in a process that was forked while the file was open.

    SQLite's locks do not survive a fork, so that the file could be damaged.

    store: the path of the file.
    opened_by: the id of the process that opened the file.
    process: the id of the forked process.

    Fork before the store is opened and open it in each process, or start processes by spawn.
    """

    is_misuse: ClassVar[bool] = True
    """True: no later try can succeed."""

    def __init__(self, store: str, opened_by: int, process: int) -> None:
        self.opened_by, self.process = opened_by, process
        super().__init__(
            store,
            f"process {opened_by} had the file open when process {process}, which uses it, was forked from it; fork "
            "before the store is opened and open it in each process, or start processes by spawn",
        )


class StoreInOtherThread(StoreError):
    """The store was used outside of the thread that opened it.

    store: the path of the file.

    Call the store in its thread, with ``anyio.from_thread.run``, or open a store of its own for each loop.
    """

    is_misuse: ClassVar[bool] = True
    """True: no later try can succeed."""

    def __init__(self, store: str) -> None:
        super().__init__(
            store,
            "it was opened in the loop of another thread; call it there (anyio.from_thread.run), or open a store of "
            "its own for each loop",
        )


class StoreReadOnly(StoreError):
    """The file or its folder cannot be written, or cannot be opened at all.

    store: the path of the file.
    cause: the name and text of SQLite's error, in the text.

    Create the folder, and make it and the file writable for the user of this process.
    """

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the file cannot be opened for writing ({cause}); the file and its folder must exist and be writable "
            "for the user of this process",
        )


class StoreFull(StoreError):
    """No space is left on the disk.

    store: the path of the file.
    cause: the name and text of SQLite's error, in the text.

    Free some space; acknowledged writes are safe, and the store goes on by itself.
    """

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"there is no space left ({cause}); acknowledged writes are safe, and the store goes on when there is "
            "space again",
        )


class StoreFailed(StoreError):
    """The disk failed to read or write.

    store: the path of the file.
    cause: the name and text of SQLite's error, in the text.

    Look at the disk and at the log of the system; acknowledged writes are safe.
    """

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the disk failed ({cause}); acknowledged writes are safe: look at the disk and at the log of the system",
        )


class StoreCorrupt(StoreError):
    """The content of the file is damaged.

    store: the path of the file.
    cause: the name and text of SQLite's error, in the text.

    Stop the processes that use the file, copy it, run ``python -m modd queue PATH doctor``, and restore a backup or
    save the readable rows with ``sqlite3 ... .recover``.
    """

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the file is damaged ({cause}); stop the processes that use it, copy it, run `python -m modd queue "
            f"{store} doctor`, and restore a backup or save the readable rows with `sqlite3 ... .recover`",
        )


class NotAStore(StoreError):
    """The file is not a store of modd, or its beginning is damaged; it was left as it is.

    store: the path of the file.
    cause: the name and text of SQLite's error, in the text.

    Give the store another path; restore a backup if the file was a store.
    """

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the file is not a store of modd ({cause}) and was left as it is; give another path, or restore a backup "
            "if it was one",
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
"""The error of the store for each primary result code of SQLite; all other codes are about statements and values."""


def is_store_failure(error: BaseException) -> bool:
    """True if the store failed as a whole; False if the error is of one call alone."""
    return _code(error) in KINDS


def describe_failure(error: BaseException) -> str:
    """Return the words for a failure of the store, without content of the file."""
    return undecodable_text(error) if is_undecodable(error) else str(error)


def is_busy(error: BaseException) -> bool:
    """True if a lock was in the way, so that the same may succeed later."""
    return KINDS.get(_code(error)) is StoreBusy


def is_corrupt(error: BaseException) -> bool:
    """True if the content of the file makes no sense."""
    return isinstance(error, Damage) or is_undecodable(error) or KINDS.get(_code(error)) in (StoreCorrupt, NotAStore)


def is_refused_write(error: BaseException | None) -> bool:
    """True if a statement tried to write on a read-only connection; the file is well then."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY


@block
def translate_errors(store: str) -> Iterator[None]:
    """Raise `Damage` and errors of SQLite in the block as the matching `StoreError`, caused by SQLite's error."""
    try:
        yield
    except Exception as error:
        translated = translate_error(store, error)
        raise translated from translated.__cause__


def translate_error(store: str, error: E) -> E | StoreError:
    """Return the `StoreError` for `Damage` and an error of SQLite, caused by that; return any other error as it is."""
    if isinstance(error, Damage):
        return _caused_by(error.__cause__ or error, StoreCorrupt(store, error))
    if is_undecodable(error):
        return _caused_by(error, StoreCorrupt(store, undecodable_text(error)))
    kind = KINDS.get(_code(error))
    if kind is None:
        return error
    return _caused_by(error, kind(store, f"{getattr(error, 'sqlite_errorname', 'SQLite')}: {error}"))


def _caused_by(cause: BaseException, translated: StoreError) -> StoreError:
    """Return a translated error with its cause, whose texts in a traceback quote nothing of the file."""
    each: BaseException | None = cause
    while each is not None and not isinstance(each, StoreError):
        if len(each.args) == 1 and isinstance(each.args[0], str):  # as the errors of SQLite have it
            each.args = (escape_control(undecodable_text(each) if is_undecodable(each) else each.args[0]),)
        each = each.__context__
    translated.__cause__ = cause
    return translated


def _code(error: BaseException) -> int:
    """Return the primary result code of SQLite; -1 for other errors."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1
