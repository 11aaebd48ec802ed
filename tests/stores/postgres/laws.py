"""Queues for many short histories, and what is true of their rows after each step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from modd.stores import PostgresStore
from tests.postgres.server import PostgresServer
from tests.stores.histories import Both
from tests.stores.postgres.database_clock import DatabaseClock
from tests.stores.postgres.stores import new_schema
from tests.stores.rows import COLUMNS, Row, check_rows, left_of


class StoreBoth(Both):
    """A queue of a store and the model of one, with a clock that moves when it is told to."""

    def __init__(self, store: PostgresStore, clock: DatabaseClock, connection: psycopg.Connection[Any]) -> None:
        async def pass_time(seconds: float) -> None:
            clock.move(seconds)

        super().__init__(store.queue("orders"), clock, pass_time)
        self.store, self._connection = store, connection

    async def compare(self) -> None:
        """Compare what there is in both, and look at the rows."""
        await self.compare_reads()
        rows = self._rows()
        assert left_of(rows) == self.model.left()
        check_rows(rows)

    def left(self) -> list[Any]:
        """What the table has of each item, in their order, as far as the model knows it."""
        return left_of(self._rows())

    def _rows(self) -> list[Row]:
        sql = f"SELECT {COLUMNS} FROM {self.store.schema.quoted}.items ORDER BY place"
        return [Row(*map(to_text, row)) for row in self._connection.execute(sql.encode())]


class Histories:
    """A store in a schema of its own that is empty for each history: to make its tables takes longer than one."""

    def __init__(self, server: PostgresServer) -> None:
        self.clock = DatabaseClock(server)
        self._schema = new_schema()
        self._connection = psycopg.connect(server.url, autocommit=True)

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[StoreBoth]:
        """An empty queue."""
        async with self.clock.new_store(self._schema) as store:
            self._connection.execute(f"TRUNCATE {store.schema.quoted}.items".encode())
            yield StoreBoth(store, self.clock, self._connection)

    def close(self) -> None:
        self._connection.close()
        self.clock.close()


def to_text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
