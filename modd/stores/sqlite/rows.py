"""Many rows with one statement: a step of SQLite's for each takes longer than what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.stores.sqlite.sql import Connection

SIZES = (100, 20, 5, 1)
"""Rows of one statement. So SQLite keeps few of them prepared, and none has more values than old versions take."""


class Insert:
    """A statement that inserts rows: ``INSERT INTO ... VALUES``, one row of placeholders, and what comes after."""

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        self._width = row.count("?")
        self._sql = {size: f"{head} VALUES {', '.join([row] * size)} {tail}" for size in SIZES}

    def run(self, connection: Connection, values: Sequence[Any]) -> None:
        """Insert the rows that these values make, one after another."""
        start, width = 0, self._width
        for size, sql in self._sql.items():
            step = size * width
            while len(values) - start >= step:
                connection.execute(sql, values[start : start + step])
                start += step
