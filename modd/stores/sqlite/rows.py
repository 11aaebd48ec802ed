"""Many rows with one statement: a step of SQLite's for each takes longer than what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.stores.sqlite.sql import Connection

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
