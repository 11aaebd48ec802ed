"""A clock of the database that moves when it is told to."""

from __future__ import annotations

from urllib.parse import quote

import psycopg

from modd.stores import PostgresStore
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema

CLOCK = """
CREATE SCHEMA {0};
CREATE TABLE {0}.clock (now double precision);
INSERT INTO {0}.clock VALUES (1700000000);
CREATE FUNCTION {0}.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
    AS 'SELECT to_timestamp(now) FROM {0}.clock'
"""


class DatabaseClock:
    """Seconds since 1970, as told, for connections that have this address.

    They find the function of this name in a schema of the test before that of PostgreSQL.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server, self._schema = server, f"clock_{new_schema()}"
        self.now = 1_700_000_000.0
        server.execute(*CLOCK.format(self._schema).split(";\n"))
        self._connection = psycopg.connect(server.url, autocommit=True)

    @property
    def url(self) -> str:
        return f"{self._server.url}?options={quote(f'-csearch_path={self._schema},pg_catalog')}"

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Have so many seconds pass."""
        self.now += seconds
        self._connection.execute(f"UPDATE {self._schema}.clock SET now = %s".encode(), (self.now,))

    def close(self) -> None:
        """End the connection by which it is moved."""
        self._connection.close()

    def new_store(self, schema: str | None = None) -> PostgresStore:
        """Return a store that goes by this clock."""
        return PostgresStore(self.url, schema=schema or new_schema(), durable=False)
