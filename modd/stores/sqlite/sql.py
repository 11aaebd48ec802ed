"""The part of `sqlite3` that the store uses, the shape of its write operations, and bulk statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from modd.ports.transaction import Parameters
from modd.stores.sqlite.damage import Damage, raise_damage


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """Number of rows that were changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows."""
        ...


class Connection(Protocol):
    """The methods of `sqlite3.Connection` that the store calls; other builds of SQLite have the same."""

    @property
    def in_transaction(self) -> bool:
        """True while a transaction is open."""
        ...

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Execute a statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Execute a statement once for each set of parameters."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


CallArgs: TypeAlias = tuple[Any, ...]
"""The arguments of one call of an operation."""


Row: TypeAlias = tuple[Any, ...]
"""The values of one row, in the order of a statement's columns."""


Operation: TypeAlias = Callable[[Connection, Sequence[CallArgs]], Sequence[Any]]
"""Writes for several callers at once, inside the open transaction: given the arguments of each call, returns the
result of each call.

The result of a call that fails before it has written is `Refused`, and the other calls go on. If a call fails later,
the operation raises. Then the transaction is rolled back, and each call is executed alone.
"""


USER_OPERATIONS: set[Operation] = set()
"""The operations that execute statements of the user, whose errors tell nothing about the file."""


REFUSING_OPERATIONS: set[Callable[..., Any]] = set()
"""The operations, as plain functions, that refuse calls for a `Conflict`: behind other writes they need a savepoint."""


def may_refuse(operation: Operation) -> bool:
    """True if an operation refuses calls for a `Conflict`."""
    return getattr(operation, "__func__", operation) in REFUSING_OPERATIONS


class Refused:
    """The result of a call of an `Operation` that has written nothing: the error for its caller."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def execute_call(connection: Connection, operation: Operation, arguments: CallArgs) -> Any:
    """Execute one call of an operation, and return its result. Raises the error of the call."""
    [result] = execute_calls(connection, operation, (arguments,))
    if type(result) is Refused:
        raise result.error
    return result


def execute_calls(connection: Connection, operation: Operation, calls: Sequence[CallArgs]) -> Sequence[Any]:
    """Execute calls of an operation, and return their results. Raises `Damage` if the tables are not those of modd."""
    try:
        return operation(connection, calls)
    except Exception as error:
        if operation not in USER_OPERATIONS:
            raise_damage(error)
        raise


def encode_headers(headers: dict[str, str]) -> bytes | None:
    """Return headers as they are stored: JSON, or NULL for none."""
    return _encode(headers) if headers else None


def decode_headers(data: bytes | None) -> dict[str, str]:
    """Return headers from their stored form. Raises `Damage` if they are not in that form."""
    try:
        return _decode(data) if data else {}
    except ValueError as error:  # msgspec's errors, and those of texts that are no UTF-8
        raise Damage("headers that are no JSON object of texts") from error


_encode = msgspec.json.Encoder().encode


_decode = msgspec.json.Decoder(dict[str, str]).decode


SIZES = (100, 20, 5, 1)
"""Rows in one statement. Few sizes, so that SQLite caches few statements; at most 100, so that the number of parameters
stays below the limit of old versions (999)."""


class BulkStatement:
    """A statement over many rows, executed in as few steps as the limit on parameters allows.

    head: the SQL before the rows. row: the placeholders of one row, such as ``(?, ?)``. tail: the SQL after the rows.
    """

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        self._width = row.count("?")
        self._sql = {size: f"{head} {', '.join([row] * size)} {tail}" for size in SIZES}

    def run(self, connection: Connection, values: Sequence[Any], *prefix: Any) -> int:
        """Execute the statement for rows in order, and return the number of rows that were changed.

        values: the values of all rows, in one flat sequence. prefix: parameters before the rows, repeated at each step.
        """
        start, changed = 0, 0
        for size, sql in self._sql.items():
            step = size * self._width
            while len(values) - start >= step:
                changed += connection.execute(sql, (*prefix, *values[start : start + step])).rowcount
                start += step
        return changed


class BulkInsert(BulkStatement):
    """A `BulkStatement` that inserts rows: ``head`` is ``INSERT INTO table (columns)``."""

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        super().__init__(f"{head} VALUES", row, tail)
