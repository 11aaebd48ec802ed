"""Stores for many short histories, and what is true of the rows of a queue after each step."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modd.stores.sqlite.positions import LAST
from modd.stores.sqlite.store import SqliteStore
from tests.stores.histories import Both
from tests.stores.rows import COLUMNS, Row, check_rows, left_of
from tests.stores.sqlite.conftest import Clock


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
