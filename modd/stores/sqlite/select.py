"""Statements that read, and the digests that tell if their rows have changed."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from modd.ports.transaction import Parameters
from modd.stores.sqlite.damage import Columns, Damage, raise_damage
from modd.stores.sqlite.savepoint import one_state
from modd.stores.sqlite.sql import Connection


class Select:
    """A statement of modd that reads: call it with a connection for its rows.

    sql, parameters: the statement.
    columns: the types of its values; None, the default, for any.
    title: the words for it in a `modd.ports.ReadConflict`; the statement by default.
    version: a cheaper statement whose rows change whenever those of this one do; this one by default.
    """

    __slots__ = ("_title", "columns", "parameters", "sql", "version")

    def __init__(
        self,
        sql: str,
        parameters: Parameters = (),
        *,
        columns: Columns | None = None,
        title: str | None = None,
        version: Select | None = None,
    ) -> None:
        self.sql, self.parameters, self.columns = sql, parameters, columns
        self._title, self.version = title, version

    @property
    def title(self) -> str:
        """The words for it in a `modd.ports.ReadConflict`."""
        return self._title or self.sql

    def __call__(self, connection: Connection) -> list[Any]:
        """Return the rows. Raises `Damage` if the tables or the values are not those of modd."""
        try:
            rows = self.execute(connection)
        except Exception as error:
            raise_damage(error)
            raise
        return rows if self.columns is None else self.columns.check(rows)

    def execute(self, connection: Connection) -> list[Any]:
        """Execute the statement, and return its rows."""
        return connection.execute(self.sql, self.parameters).fetchall()

    def only(self, connection: Connection) -> Any:
        """Return the only row. Raises `Damage` for another number of rows."""
        rows = self(connection)
        if len(rows) != 1:
            raise Damage(f"{len(rows)} rows in place of one: {self.sql}")
        return rows[0]

    def with_digest(self, connection: Connection) -> tuple[list[Any], bytes]:
        """Return the rows, and the digest by which a later change of them is found."""
        if self.version is None:
            rows = self(connection)
            return rows, _digest(rows)
        with one_state(connection):
            return self(connection), _digest(self.version(connection))

    def digest(self, connection: Connection) -> bytes:
        """Return the digest that `with_digest` would return now."""
        return _digest((self.version or self)(connection))


_encode = msgspec.msgpack.Encoder().encode


def _digest(rows: list[Any]) -> bytes:
    return blake2b(_encode(rows), digest_size=16).digest()
