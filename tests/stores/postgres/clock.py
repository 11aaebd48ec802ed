"""A server whose time the test sets."""

from __future__ import annotations

from itertools import count
from os import getpid

import psycopg

from modd.stores import PostgresStore
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema

numbers = count(1)

# a sequence, because its value is seen at once and by all, in a snapshot too
SCHEMA = """
CREATE SCHEMA {name};
CREATE SEQUENCE {name}.milliseconds MINVALUE 0 START 1000000;
CREATE FUNCTION {name}.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT to_timestamp(last_value / 1000.0) FROM {name}.milliseconds';
"""


class TestClock:
    """The time of the database for stores of this clock; it stands still until the test moves it on.

    Their connections find a function of this clock before that of PostgreSQL.
    """

    __test__ = False  # no test of pytest

    def __init__(self, server: PostgresServer) -> None:
        self._name = f"clock_{getpid()}_{next(numbers)}"
        self._now = 1_000.0
        self._server, self._connection = server, psycopg.connect(server.url, autocommit=True)
        self._connection.execute(SCHEMA.format(name=self._name).encode())

    @property
    def now(self) -> float:
        """The time of the database, in seconds since 1970."""
        return self._now

    @now.setter
    def now(self, seconds: float) -> None:
        self._now = seconds
        self._connection.execute(f"SELECT setval('{self._name}.milliseconds', {round(seconds * 1_000)})".encode())

    def new_store(self, schema: str | None = None, **options: object) -> PostgresStore:
        """Return a store with the time of this clock, by default in a new schema."""
        url = f"{self._server.url}?options=-csearch_path%3D{self._name},pg_catalog"
        return PostgresStore(url, schema=schema or new_schema(), **{"durable": False, **options})  # type: ignore[arg-type]  # options of the class

    def close(self) -> None:
        """Close its connection."""
        self._connection.close()
