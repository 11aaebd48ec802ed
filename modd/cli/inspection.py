"""A file of a store, opened to be looked at beside the processes that use it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from time import time
from typing import Any, TypeVar

from modd.cli.errors import NoSuchFile, NoSuchItem, NoSuchQueue
from modd.cli.reports import QueueCounts
from modd.ports.errors import StoreError
from modd.stores.sqlite.errors import NotAStore, translate_error
from modd.stores.sqlite.journal_mode import prepare_reader
from modd.stores.sqlite.queue_operations import QueueOperations
from modd.stores.sqlite.queue_sql import COUNTS, DEAD
from modd.stores.sqlite.schema import check_version

T = TypeVar("T")


TIMEOUT = 10.0
"""Seconds to wait for another process that has the file locked."""


ITEM = "SELECT state, due, attempts, key, headers, reason, body FROM modd_items WHERE place = ?"


OF_DEAD = f"FROM modd_items WHERE queue = ? AND state = {DEAD} AND due IS NOT NULL ORDER BY due LIMIT ?"


class Reading:
    """Looks at queues by their names, with a connection that only reads.

    clock: seconds since 1970. at_rest: whether neither a WAL nor a journal is beside the file. Raises `NewerStore`, and
    `NotAStore` when there is nothing of modd in the file.
    """

    def __init__(
        self, path: str, connection: sqlite3.Connection, clock: Callable[[], float] = time, *, at_rest: bool = False
    ) -> None:
        self.path, self.connection, self._clock, self.at_rest = path, connection, clock, at_rest
        self.version = check_version(path, connection)
        if not self.version:
            raise NotAStore(path, "it has none of modd's tables")

    def rows(self, sql: str, *given: Any) -> list[Any]:
        """The rows that a statement reads."""
        return self.connection.execute(sql, given).fetchall()

    def names(self) -> list[str]:
        """The queues, by name."""
        return [name for [name] in self.rows("SELECT name FROM modd_queues ORDER BY name")]

    def counts(self, name: str) -> QueueCounts:
        """How many items of each kind a queue has."""
        given = {"queue": self._sql(name).number, "now": self._clock()}
        return QueueCounts(name, *self.connection.execute(COUNTS, given).fetchone())

    def outbox(self) -> int:
        """How many items the outbox has."""
        [[count]] = self.rows("SELECT count(*) FROM modd_outbox")
        return int(count)

    def checked(self, name: str) -> str:
        """The name of a queue. Raises `NoSuchQueue`."""
        known = self.names()
        if name not in known:
            raise NoSuchQueue(name, self.path, known)
        return name

    def dead(self, name: str, limit: int) -> list[tuple[str, bytes, str, int]]:
        """Id, body, reason and attempts of dead letters, those that were buried first at the front."""
        sql = self._sql(name)
        rows = self.rows(f"SELECT place, id, body, reason, attempts {OF_DEAD}", sql.number, limit)
        return [(sql.id_of(place, id), *rest) for place, id, *rest in rows]

    def dead_ids(self, name: str) -> list[str]:
        """The ids of all dead letters."""
        sql = self._sql(name)
        return [sql.id_of(place, id) for place, id in self.rows(f"SELECT place, id {OF_DEAD}", sql.number, -1)]

    def item(self, name: str, id: str) -> tuple[Any, ...]:
        """State, due, attempts, key, headers, reason and body of an item. Raises `NoSuchItem`."""
        place = self._sql(name).position_of(self.connection, id)
        if place is None:
            raise NoSuchItem(id, name)
        [item] = self.rows(ITEM, place)
        return tuple(item)

    def oldest(self, name: str, state: int) -> float | None:
        """For how many seconds that item of a state has been there that was put first; None if there is none."""
        sql = f"SELECT min(place) FROM modd_items WHERE queue = ? AND state = {state}"
        [[place]] = self.rows(sql if state == 0 else f"{sql} AND due IS NOT NULL", self._sql(name).number)
        return None if place is None else max(0.0, self._clock() - place / 1e6)

    def _sql(self, name: str) -> QueueOperations:
        return QueueOperations(name, self._nonce)

    def _nonce(self) -> str:
        [[nonce]] = self.rows("SELECT nonce FROM modd_store")
        return str(nonce)


def looked(
    path: str, work: Callable[[Reading], T], *, clock: Callable[[], float] = time, timeout: float = TIMEOUT
) -> T:
    """Have a look at a file, without a write, a checkpoint, or a part in who has it, and return what that returns.

    A file at rest is read without locks, as SQLite would make files beside it otherwise that others may be unable to
    write to; if somebody comes meanwhile, it is looked at again. path: of the file, which is not made. timeout: for how
    many seconds to wait for others. Raises `NoSuchFile` and `modd.ports.StoreError`.
    """
    if not Path(path).is_file():
        raise NoSuchFile(path)
    path = os.path.realpath(path)  # beside which a WAL is
    look = partial(_looked, path, work=work, clock=clock, timeout=timeout)
    before = _rest(path)
    if before is not None:
        try:
            found = look("immutable=1", at_rest=True)
        except Exception:
            if _rest(path) == before:
                raise
        else:
            if _rest(path) == before:
                return found
    return look("mode=ro", at_rest=False)


def _looked(
    path: str, how: str, *, work: Callable[[Reading], T], clock: Callable[[], float], timeout: float, at_rest: bool
) -> T:
    uri = f"{Path(path).absolute().as_uri()}?{how}"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            prepare_reader(timeout, connection)
            return work(Reading(path, connection, clock, at_rest=at_rest))
    except sqlite3.Error as error:
        raise _named(path, error) from error


def _rest(path: str) -> tuple[int, ...] | None:
    """What tells whether the file was changed, if it is at rest: whoever writes has a WAL or a journal beside it."""
    if any(Path(f"{path}{suffix}").exists() for suffix in ("-wal", "-journal")):
        return None
    told = Path(path).stat()
    return told.st_ino, told.st_size, told.st_mtime_ns


def _named(path: str, error: sqlite3.Error) -> StoreError:
    if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK":
        cure = "whoever opens the store next undoes it: start what uses it, and look again"
        return StoreError(path, f"a process ended in the middle of a transaction; {cure}")
    named = translate_error(path, error)
    return named if isinstance(named, StoreError) else StoreError(path, str(error))
