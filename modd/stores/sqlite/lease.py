"""Changes of rows that only the holder of their lease may make."""

from __future__ import annotations

from collections.abc import Iterable

from modd.ports.errors import LeaseLost
from modd.stores.lease import LeasedRow
from modd.stores.sqlite.sql import Connection

LEASED = "place = ? AND token = ?"
"""The condition for a leased row, given its position and number."""


def update_leased(connection: Connection, sql: str, rows: Iterable[LeasedRow]) -> None:
    """Execute a statement for each row; repeated rows count once.

    sql: takes position and number, as `LEASED` does. Raises `LeaseLost` with the ids of rows that were not leased.
    """
    unique = dict.fromkeys(rows)
    lost = [row.id for row in unique if not connection.execute(sql, (row.position, row.number)).rowcount]
    if lost:
        raise LeaseLost(lost)
