"""Changes of leased rows in the database, which only the holder of the lease may make; see `modd.stores.lease`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.ports.errors import LeaseLost
from modd.stores.lease import LeasedRow
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import encode_text


async def change_leased(session: Session, sql: str, row: LeasedRow, *values: Any) -> None:
    """Execute a statement for a leased row. Raises `LeaseLost`.

    sql: takes the values, and the row's position and number.
    """
    if not await session.count(sql, (*values, row.position, row.number)):
        raise LeaseLost([row.id])


async def delete_leased(session: Session, sql: str, rows: Sequence[LeasedRow]) -> None:
    """Delete leased rows. Raises `LeaseLost` with the ids of those that are not leased.

    sql: takes the positions and the numbers, and returns those of the deleted rows.
    """
    deleted = await session.rows(sql, ([row.position for row in rows], [row.number for row in rows]))
    known = {(position, number) for position, number in deleted}
    lost = dict.fromkeys(row.id for row in rows if (row.position, row.number) not in known)
    if lost:
        raise LeaseLost([*lost])


def keys_of(rows: Sequence[LeasedRow]) -> list[bytes]:
    """Return the keys of the items of leased rows."""
    return [encode_text(row.key) for row in rows if row.key is not None]
