"""Read-only access to the file of a store, beside the processes that use it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from time import time
from typing import Any, TypeVar

from modd.cli.errors import NoSuchFile, NoSuchItem, NoSuchQueue
from modd.cli.reports import QueueCounts
from modd.ports.errors import StoreError
from modd.stores.sqlite.damage import Columns, Damage, as_damage
from modd.stores.sqlite.errors import NotAStore, translate_error
from modd.stores.sqlite.item_ids import ItemIds
from modd.stores.sqlite.journal_mode import prepare_reader
from modd.stores.sqlite.queue_sql import COUNTS, DEAD, LEFT_COUNT, READY
from modd.stores.sqlite.schema import NONCE, check_version
from modd.stores.sqlite.select import Select

T = TypeVar("T")


TIMEOUT = 10.0
"""Seconds to wait for another process that has the file locked."""


SELECT_ITEM = "SELECT state, due, attempts, key, headers, reason, body FROM modd_items WHERE place = ?"


ITEM_COLUMNS = Columns(
    state=int,
    due=float | None,
    attempts=int,
    key=str | None,
    headers=bytes | None,
    reason=str | None,
    body=bytes,
)


DEAD_COLUMNS = Columns(place=int, id=str | None, body=bytes, reason=str, attempts=int)


FROM_DEAD = f"FROM modd_items WHERE queue = ? AND state = {DEAD} AND due IS NOT NULL ORDER BY due LIMIT ?"


class Inspector:
    """Queries on the queues and the outbox of a file, with a connection that only reads.

    path: the path of the file, for errors.
    clock: a function that returns seconds since 1970.
    at_rest: True if neither a WAL nor a journal is beside the file.

    Raises:
        NewerStore: a newer version of modd has written the file.
        NotAStore: the file has no tables of modd.
    """

    def __init__(
        self, path: str, connection: sqlite3.Connection, clock: Callable[[], float] = time, *, at_rest: bool = False
    ) -> None:
        self.path, self.connection, self.clock, self.at_rest = path, connection, clock, at_rest
        self.version = check_version(path, connection)
        if not self.version:
            raise NotAStore(path, "it has none of modd's tables")

    def rows(self, sql: str, *parameters: Any, columns: Columns | None = None) -> list[Any]:
        """Return the rows of a query. Raises `Damage` if the tables, or the values in the columns, are not modd's."""
        return Select(sql, parameters, columns=columns)(self.connection)

    def queues(self) -> list[str]:
        """Return the names of the queues, sorted."""
        rows = self.rows("SELECT name FROM modd_queues ORDER BY name", columns=Columns(name=str))
        return [name for [name] in rows]

    def counts(self, queue: str) -> QueueCounts:
        """Count the items of each kind in a queue."""
        parameters = {"queue": self._ids(queue).number, "now": self.clock()}
        counts = COUNTS if self.version > 1 else COUNTS.replace(LEFT_COUNT, "0")
        return QueueCounts(queue, *Select(counts, parameters).only(self.connection))

    def outbox(self) -> int:
        """Count the items in the outbox."""
        [[count]] = self.rows("SELECT count(*) FROM modd_outbox")
        return int(count)

    def checked_queue(self, queue: str) -> str:
        """Return the name of a queue that exists. Raises `NoSuchQueue`."""
        queues = self.queues()
        if queue not in queues:
            raise NoSuchQueue(queue, self.path, queues)
        return queue

    def dead(self, queue: str, limit: int) -> Iterator[tuple[str, bytes, str, int]]:
        """Yield id, body, reason and attempts of the first dead letters, in the order in which they were buried."""
        ids = self._ids(queue)
        sql = f"SELECT place, id, body, reason, attempts {FROM_DEAD}"
        for row in self.connection.execute(sql, (ids.number, limit)):  # one by one: bodies may be large
            [(place, id, *rest)] = DEAD_COLUMNS.check([row])
            yield (ids.id_of(place, id), *rest)

    def dead_ids(self, queue: str) -> list[str]:
        """Return the ids of all dead letters of a queue, each once."""
        ids, columns = self._ids(queue), Columns(place=int, id=str | None)
        rows = self.rows(f"SELECT place, id {FROM_DEAD}", ids.number, -1, columns=columns)
        return [*dict.fromkeys(ids.id_of(place, id) for place, id in rows)]

    def ids_of_message(self, queue: str, id: str) -> list[str]:
        """Return the ids of the items of a message: its id behind the name of a bus, perhaps before a handler."""
        sql = "SELECT DISTINCT id FROM modd_items WHERE queue = ? AND instr(id, ?) ORDER BY id"
        rows = self.rows(sql, self._ids(queue).number, f":{id}", columns=Columns(id=str))
        return [each for [each] in rows if each.rpartition(":")[2].partition("/")[0] == id]

    def has_item(self, queue: str, id: str) -> bool:
        """Return True if an item of a queue has the id, in whichever state."""
        return self._ids(queue).is_known(self.connection, id)

    def item(self, queue: str, id: str) -> tuple[Any, ...]:
        """Return state, due, attempts, key, headers, reason and body of an item, of a dead one if several have the id.

        Raises `NoSuchItem`.
        """
        places = self._ids(queue).positions_of(self.connection, id)
        items = [self._item_at(place) for place in places]
        if not items:
            raise NoSuchItem(id, queue)
        return max(items, key=lambda item: bool(item[0] == DEAD))

    def _item_at(self, place: int) -> tuple[Any, ...]:
        item: tuple[Any, ...] = Select(SELECT_ITEM, (place,), columns=ITEM_COLUMNS).only(self.connection)
        if not READY <= item[0] <= DEAD:
            raise Damage(f"an item has the state {item[0]}")
        return item

    def oldest(self, queue: str, state: int) -> float | None:
        """Return the age in seconds of the oldest item in a state; None if there is none."""
        sql = f"SELECT min(place) FROM modd_items WHERE queue = ? AND state = {state}"
        [[place]] = self.rows(sql if state == 0 else f"{sql} AND due IS NOT NULL", self._ids(queue).number)
        return None if place is None else max(0.0, self.clock() - place / 1e6)

    def _ids(self, queue: str) -> ItemIds:
        return ItemIds(queue, self._nonce)

    def _nonce(self) -> str:
        [nonce] = NONCE.only(self.connection)
        return str(nonce)


def inspect_file(
    path: str, work: Callable[[Inspector], T], *, clock: Callable[[], float] = time, timeout: float = TIMEOUT
) -> T:
    """Call a function with an `Inspector` of the file, and return its result.

    Nothing is written, and other processes do not count the inspector as a user of the file. A file at rest is read
    without locks, because SQLite would create files beside it, which other users may be unable to write. If a process
    writes meanwhile, the function is called again.

    path: of a file that exists.
    timeout: seconds to wait for a lock of another process.

    Raises:
        NoSuchFile: there is no file at the path.
        StoreError: the file cannot be read.
    """
    if not Path(path).is_file():
        raise NoSuchFile(path)
    path = os.path.realpath(path)  # SQLite puts the WAL beside the target of a link
    inspect = partial(_inspect, path, work=work, clock=clock, timeout=timeout)
    before = _rest_state(path)
    if before is not None:
        try:
            result = inspect("immutable=1", at_rest=True)
        except Exception:
            if _rest_state(path) == before:
                raise
        else:
            if _rest_state(path) == before:
                return result
    return inspect("mode=ro", at_rest=False)


def _inspect(
    path: str, mode: str, *, work: Callable[[Inspector], T], clock: Callable[[], float], timeout: float, at_rest: bool
) -> T:
    uri = f"{Path(path).absolute().as_uri()}?{mode}"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            prepare_reader(timeout, connection)
            return work(Inspector(path, connection, clock, at_rest=at_rest))
    except Exception as error:
        translated = _as_store_error(path, error)
        raise translated from translated.__cause__


def _rest_state(path: str) -> tuple[int, ...] | None:
    """Return values that change with each write; None if a WAL or a journal exists, so the file is not at rest."""
    if any(Path(f"{path}{suffix}").exists() for suffix in ("-wal", "-journal")):
        return None
    status = Path(path).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _as_store_error(path: str, error: Exception) -> Exception:
    if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK":
        cure = "the next process that opens the store rolls it back: start one, then look again"
        return StoreError(path, f"a process ended in the middle of a transaction; {cure}")
    translated = translate_error(path, as_damage(error))
    return StoreError(path, str(error)) if isinstance(translated, sqlite3.Error) else translated
