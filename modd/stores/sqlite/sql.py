"""How the parts of a store do their writes: calls of one kind, together, inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from modd.ports.errors import LeaseLost
from modd.ports.transaction import Parameters


class Cursor(Protocol):
    """What a statement comes back with."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows."""
        ...


class Connection(Protocol):
    """What is used of a `sqlite3.Connection`."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Execute a statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Execute a statement for each of the parameters."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


Call: TypeAlias = tuple[Any, ...]
"""What one caller gave."""


Operation: TypeAlias = Callable[[Connection, Sequence[Call]], Sequence[Any]]
"""Does the calls of several callers in the open transaction, and returns a result for each.

It raises when it cannot do all of them. Then everything is rolled back, and each call is done for itself.
"""


def executed(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Statements of users, one after another."""
    for sql, parameters in calls:
        connection.execute(sql, parameters)
    return [None] * len(calls)


def transacted(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Whole transactions: for each caller the operations that it collected, in their order."""
    for [collected] in calls:
        for operation, call in collected:
            operation(connection, (call,))
    return [None] * len(calls)


def settled(connection: Connection, sql: str, held: Mapping[Call, Call]) -> None:
    """A statement for each of what is held, by place and token. Raises `LeaseLost` with the ids of what is not."""
    lost = [each[2] for place, each in held.items() if not connection.execute(sql, place).rowcount]
    if lost:
        raise LeaseLost(lost)


def packed(headers: dict[str, str]) -> bytes | None:
    """Headers as they are kept."""
    return _encode(headers) if headers else None


def unpacked(data: bytes | None) -> dict[str, str]:
    """Headers as they were given."""
    return _decode(data) if data else {}


_encode = msgspec.json.Encoder().encode


_decode = msgspec.json.Decoder(dict[str, str]).decode


SIZES = (100, 20, 5, 1)
"""Rows of one statement. So SQLite keeps few of them prepared, and none has more values than old versions take."""


class Statement:
    """A statement about rows: its head, the placeholders of one row, and what comes after those of all rows."""

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        self._width = row.count("?")
        self._sql = {size: f"{head} {', '.join([row] * size)} {tail}" for size in SIZES}

    def run(self, connection: Connection, values: Sequence[Any], *before: Any) -> int:
        """Execute it for the rows that these values make, in their order; returns how many rows were changed.

        before: what is given with each part, before the rows.
        """
        start, changed = 0, 0
        for size, sql in self._sql.items():
            step = size * self._width
            while len(values) - start >= step:
                changed += connection.execute(sql, (*before, *values[start : start + step])).rowcount
                start += step
        return changed


class Insert(Statement):
    """A statement that inserts rows: ``INSERT INTO ... (...)``, one row of placeholders, and what comes after."""

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        super().__init__(f"{head} VALUES", row, tail)
