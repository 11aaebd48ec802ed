"""A store on apsw, which lets Python be the file system below SQLite. It brings a SQLite of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import apsw

CHANGING = ("INSERT", "UPDATE", "DELETE", "REPLACE")
CLASSES: dict[int, type[sqlite3.DatabaseError]] = {
    sqlite3.SQLITE_CONSTRAINT: sqlite3.IntegrityError,
    sqlite3.SQLITE_CORRUPT: sqlite3.DatabaseError,
    sqlite3.SQLITE_NOTADB: sqlite3.DatabaseError,
}
"""What `sqlite3` raises, by SQLite's primary result code, where it is no OperationalError."""
IN_TRUNCATE_MODE = {"PRAGMA journal_mode = wal": "PRAGMA journal_mode = truncate"}
"""Statements and what is executed in their place: a file system that has no WAL."""
NOT_WAITING = {"PRAGMA synchronous = FULL": "PRAGMA synchronous = NORMAL", "PRAGMA synchronous": "SELECT 2"}
"""A connection that says it waits for the disk at each commit, and does not."""


class ApswCursor:
    """What a statement came back with, all of it."""

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows, self.rowcount = iter(rows), rowcount

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


class ApswConnection:
    """The `modd.stores.sqlite.sql.Connection` of apsw, with the errors of `sqlite3`."""

    def __init__(self, connection: apsw.Connection, instead: Mapping[str, str], before: Callable[[str], None]) -> None:
        self._connection, self._instead, self._before = connection, instead, before

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Any = (), /) -> ApswCursor:
        return self._run(self._connection.execute, sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> ApswCursor:
        return self._run(self._connection.executemany, sql, parameters)

    def close(self) -> None:
        with suppress(apsw.Error):  # sqlite3 has no error here either: the connection is closed all the same
            self._connection.close()

    def _run(self, execute: Callable[[str, Any], Any], sql: str, parameters: Any) -> ApswCursor:
        before = self._connection.total_changes()
        try:
            self._before(sql)
            rows = execute(self._instead.get(sql, sql), parameters).fetchall()
        except apsw.Error as error:
            raise as_sqlite3(error) from error
        changed = self._connection.total_changes() - before
        return ApswCursor(rows, changed if sql.lstrip().upper().startswith(CHANGING) else -1)


def connector(
    vfs: str,
    instead: Mapping[str, str],
    *,
    pages: int = 1000,
    cache: int = -2000,
    before: Callable[[str], None] = lambda sql: None,
) -> Callable[[str], ApswConnection]:
    """What to give to a store as ``connect``.

    vfs: name of the file system. instead: statements and what is executed in their place. pages: how many a WAL has
    when its content goes into the file. cache: for how many pages; what there is no room for is written before the
    commit. before: called with each statement before it is executed; may raise what apsw raises.
    """

    def connect(path: str) -> ApswConnection:
        try:
            connection = apsw.Connection(path, vfs=vfs, statementcachesize=256)
        except apsw.Error as error:
            raise as_sqlite3(error) from error
        connection.set_wal_hook(_checkpoints(pages))
        made = ApswConnection(connection, instead, before)
        try:
            made.execute(f"PRAGMA cache_size = {cache}")  # which reads
        except sqlite3.Error:
            made.close()
            raise
        return made

    return connect


def _checkpoints(most: int) -> Callable[[apsw.Connection, str, int], int]:
    """What SQLite itself does after a commit. Its own would have apsw raise an error that SQLite overlooks."""

    def checkpoint(connection: apsw.Connection, database: str, pages: int) -> int:
        if pages >= most:
            with suppress(apsw.Error):
                connection.wal_checkpoint(database, apsw.SQLITE_CHECKPOINT_PASSIVE)
        return apsw.SQLITE_OK

    return checkpoint


def as_sqlite3(error: apsw.Error) -> sqlite3.DatabaseError:
    """The error that `sqlite3` would have raised."""
    code: int = getattr(error, "extendedresult", getattr(error, "result", sqlite3.SQLITE_ERROR))
    made = CLASSES.get(code & 0xFF, sqlite3.OperationalError)(str(error))
    made.sqlite_errorcode, made.sqlite_errorname = code, name_of(code)
    return made


def name_of(code: int) -> str:
    """The name of a result code, the extended one if it has one."""
    names: dict[Any, Any] = apsw.mapping_result_codes | apsw.mapping_extended_result_codes
    return str(names.get(code) or names.get(code & 0xFF) or "SQLITE_ERROR")
