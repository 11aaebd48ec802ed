"""Stores for many short histories, and what is true of the rows of a queue after each step."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from modd.stores.sqlite.positions import LAST
from modd.stores.sqlite.queue_sql import BLOCKED, DEAD, DELAYED, LEASED, READY, RETRYING
from modd.stores.sqlite.store import SqliteStore
from tests.stores.histories import Both
from tests.stores.sqlite.conftest import Clock

COLUMNS = "state, due, attempts, token, id, key, reason"


class Row(NamedTuple):
    """What the file has of an item."""

    state: int
    due: float | None
    attempts: int
    token: int | None
    id: str
    key: str | None
    reason: str | None


class StoreBoth(Both):
    """The queue of a store and the model of one, with a clock that moves when it is told to."""

    def __init__(self, store: SqliteStore, clock: Clock, file: sqlite3.Connection) -> None:
        async def pass_time(seconds: float) -> None:
            clock.now += seconds

        super().__init__(store.queue("orders"), clock, pass_time)
        self.store, self._file, self._last = store, file, 0

    async def compare(self) -> None:
        """Compare what there is in both, and look at the rows."""
        await self.compare_reads()
        self._check_last()
        rows = self._rows()
        assert left_of(rows) == self.model.left()
        check_rows(rows)

    def left(self) -> list[Any]:
        """What the file has of each item, in their order, as far as the model knows it."""
        return left_of(self._rows())

    def _check_last(self) -> None:
        """The file knows the last place that an item ever had, so that it gives that to none again."""
        [[last]] = self._file.execute(LAST).fetchall()
        assert last >= self._last
        self._last = last

    def _rows(self) -> list[Row]:
        return [Row(*row) for row in self._file.execute(f"SELECT {COLUMNS} FROM modd_items ORDER BY place")]


@asynccontextmanager
async def queue_in_file() -> AsyncIterator[StoreBoth]:
    """A queue in a new file that is gone afterwards."""
    clock = Clock()
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "store.db"))
        async with SqliteStore(path, clock=clock, connect=_Unsynced.to) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as file:
                yield StoreBoth(store, clock, file)


class _Unsynced(sqlite3.Connection):
    """It says that it waits for the disk and does not, as the tests are about logic."""

    @classmethod
    def to(cls, path: str) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=cls)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        unsynced = {"PRAGMA synchronous = FULL": "PRAGMA synchronous = OFF", "PRAGMA synchronous": "SELECT 2"}
        return super().execute(unsynced.get(sql, sql), parameters)


def left_of(rows: list[Row]) -> list[Any]:
    return [(row.id, row.key, row.attempts, row.reason) for row in rows]


def check_rows(rows: list[Row]) -> None:
    """Each row is what its state says, and each key has the head that it should have."""
    for row in rows:
        check_row(row)
    for key in {row.key for row in rows if row.key is not None}:
        check_lane([row for row in rows if row.key == key])


def check_row(row: Row) -> None:
    assert (row.due is None) == (row.state in (READY, BLOCKED))
    assert (row.reason is None) == (row.state != DEAD)
    assert row.attempts > 0 or row.state in (READY, BLOCKED, DELAYED)
    assert row.attempts == 0 or row.state not in (BLOCKED, DELAYED)
    assert row.key is not None or row.state != BLOCKED
    assert row.token is None or row.state == LEASED  # a suspect that was released has no token


def check_lane(rows: list[Row]) -> None:
    """One item at most is the head; it is the first, or an attempt of it counts. Nobody waits without a head."""
    heads = [place for place, row in enumerate(rows) if row.state in (READY, LEASED, RETRYING)]
    behind = [place for place, row in enumerate(rows) if row.state == BLOCKED]
    assert len(heads) <= 1
    assert heads or not behind
    for head in heads:
        assert rows[head].attempts or head < min(behind, default=len(rows))
