"""An outbox in the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from modd.checks import checked_count, checked_span
from modd.ports.items import Claim, Item
from modd.stores.checks import checked_outbox_item
from modd.stores.lease import claim_token, leased_row, new_lease_number
from modd.stores.sqlite.base import Claimable
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.lease import LEASED, update_leased
from modd.stores.sqlite.limits import LARGEST, checked_item
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import (
    BulkInsert,
    CallArgs,
    Connection,
    Operation,
    Row,
    decode_headers,
    encode_headers,
)

INSERT = BulkInsert(
    "INSERT INTO modd_outbox (place, id, key, headers, body)", "(?, ?, ?, ?, ?)", "ON CONFLICT (id) DO NOTHING"
)


LAST_POSITION = "SELECT coalesce(max(place), 0) FROM modd_outbox"


HAS_LEASES = "EXISTS (SELECT 1 FROM modd_outbox WHERE until > ?)"


IS_CLAIMABLE = f"SELECT EXISTS (SELECT 1 FROM modd_outbox) AND NOT {HAS_LEASES}"


END_LEASES = "UPDATE modd_outbox SET token = NULL, until = NULL WHERE until IS NOT NULL"


CLAIM = """UPDATE modd_outbox SET until = ?, token = ?, attempts = attempts + 1
    WHERE place IN (SELECT place FROM modd_outbox ORDER BY place LIMIT ?)
    RETURNING place, id, body, headers, key, attempts"""


CLAIMED = Columns(place=int, id=str, body=bytes, headers=bytes | None, key=str | None, attempts=int)


ACK = f"DELETE FROM modd_outbox WHERE {LEASED}"


RELEASE = f"UPDATE modd_outbox SET token = NULL, until = NULL WHERE {LEASED}"


class SqliteOutbox(Claimable):
    """A `modd.ports.Outbox` in the file of a `SqliteStore`: ``store.outbox``.

    Put items into it in a transaction, to have them passed on if and only if that commits. Until the next claim,
    a claim can be acknowledged or released even after its lease has ended.
    """

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; an id that the outbox has is not added again."""
        rows = [_to_row(checked_item(checked_outbox_item(item))) for item in items]
        await self._write("put", insert_items, rows)
        return [row[0] for row in rows]

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease the first items, up to ``limit``, for ``lease`` seconds; none while an earlier lease lasts."""
        count, seconds = min(checked_count("limit", limit), LARGEST), checked_span("lease", lease)
        access, now = self._store.access("claim"), self._store.clock()
        claims: list[Claim] = await access.write_for_result("claim", claim_items, count, now, now + seconds)
        return claims

    async def ack(self, *claims: Claim) -> None:
        """Delete the items: all of them or, with `modd.ports.LeaseLost`, none."""
        await self._write("ack", ack_items, [leased_row(claim) for claim in claims])

    async def release(self, *claims: Claim) -> None:
        """End the leases, so that the items can be claimed again: all of them or, with `modd.ports.LeaseLost`, none."""
        await self._write("release", release_items, [leased_row(claim) for claim in claims])

    async def is_claimable(self) -> bool:
        """True if there are items, and no lease lasts."""
        [[result]] = await self._store.access("wait").read(Select(IS_CLAIMABLE, (self._store.clock(),)))
        return bool(result)

    async def _write(self, call: str, operation: Operation, rows: Sequence[Any]) -> None:
        access = self._store.access(call)
        if rows:
            await access.write(operation, rows)


def insert_items(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Insert rows of id, key, headers and body; rows whose id is there are left out."""
    [[position]] = connection.execute(LAST_POSITION).fetchall()
    values: list[Any] = []
    for row in (row for [rows] in calls for row in rows):
        position += 1
        values += (position, *row)
    INSERT.run(connection, values)
    return [None] * len(calls)


def claim_items(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[Claim]]:
    """Claim items; each call has a limit, the time now, and the time at which the lease ends."""
    return [_claim(connection, *call) for call in calls]


def ack_items(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Delete leased items; each call has their rows."""
    update_leased(connection, ACK, (row for [rows] in calls for row in rows))
    return [None] * len(calls)


def release_items(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """End leases; each call has the rows of their items."""
    update_leased(connection, RELEASE, (row for [rows] in calls for row in rows))
    return [None] * len(calls)


def _to_row(item: Item) -> Row:
    return uuid4().hex if item.id is None else item.id, item.key, encode_headers(item.headers), item.body


def _claim(connection: Connection, limit: int, now: float, until: float) -> list[Claim]:
    if connection.execute(f"SELECT {HAS_LEASES}", (now,)).fetchall() == [(1,)]:
        return []
    connection.execute(END_LEASES)  # an earlier holder loses its lease of items that this claim leaves out, too
    number = new_lease_number()
    rows = CLAIMED.check(connection.execute(CLAIM, (until, number, limit)).fetchall())
    rows.sort()  # the rows that an UPDATE returns have no order
    return [
        Claim(id, body, decode_headers(headers), key, attempts, claim_token(position, number))
        for position, id, body, headers, key, attempts in rows
    ]
