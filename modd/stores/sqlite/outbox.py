"""An outbox in the file."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import randbits
from typing import Any
from uuid import uuid4

from modd.checks import checked_count, checked_span
from modd.ports.items import Claim, Item
from modd.stores.checks import checked_outbox_item
from modd.stores.sqlite.base import Waited, held
from modd.stores.sqlite.readers import rows_of
from modd.stores.sqlite.sql import Call, Connection, Insert, Operation, packed, settled, unpacked

INSERT = Insert(
    "INSERT INTO modd_outbox (place, id, key, headers, body)", "(?, ?, ?, ?, ?)", "ON CONFLICT (id) DO NOTHING"
)


PLACE = "SELECT coalesce(max(place), 0) FROM modd_outbox"


CLAIMED = "EXISTS (SELECT 1 FROM modd_outbox WHERE until > ?)"


CLAIMABLE = f"SELECT EXISTS (SELECT 1 FROM modd_outbox) AND NOT {CLAIMED}"


END = "UPDATE modd_outbox SET token = NULL, until = NULL WHERE until IS NOT NULL"


CLAIM = """UPDATE modd_outbox SET until = ?, token = ?, attempts = attempts + 1
    WHERE place IN (SELECT place FROM modd_outbox ORDER BY place LIMIT ?)
    RETURNING place, id, body, headers, key, attempts"""


HELD = "place = ? AND token = ?"


ACK = f"DELETE FROM modd_outbox WHERE {HELD}"


RELEASE = f"UPDATE modd_outbox SET token = NULL, until = NULL WHERE {HELD}"


class SqliteOutbox(Waited):
    """A `modd.ports.Outbox` in the file of a `SqliteStore`, which has it as ``store.outbox``.

    Put into it in a transaction what is to be passed on if the rest of the transaction is committed. As long as nobody
    else has claimed anything, claims can be settled even after their lease.
    """

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; one that is there is not put again."""
        rows = [_row(checked_outbox_item(item)) for item in items]
        await self._note("put", added, rows)
        return [row[0] for row in rows]

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """The first items, up to ``limit``, for ``lease`` seconds, in order; none while somebody else has some."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        way, now = self._host.way("claim"), self._host.clock()
        claims: list[Claim] = await way.answer("claim", claimed, most, now, now + seconds)
        return claims

    async def ack(self, *claims: Claim) -> None:
        """Forget the items; all of them or, with `modd.ports.LeaseLost`, none."""
        await self._note("ack", acked, [held(claim) for claim in claims])

    async def release(self, *claims: Claim) -> None:
        """Leave the items where they were for somebody else; all of them or, with `modd.ports.LeaseLost`, none."""
        await self._note("release", released, [held(claim) for claim in claims])

    async def is_claimable(self) -> bool:
        """Whether there is something that may be claimed."""
        [[any]] = await self._host.way("wait").read(rows_of(CLAIMABLE, (self._host.clock(),)))
        return bool(any)

    async def _note(self, what: str, operation: Operation, rows: list[Call]) -> None:
        way = self._host.way(what)
        if rows:
            await way.note(operation, rows)


def added(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Insert items, given as rows of id, key, headers and body; those that are there are left out."""
    [[place]] = connection.execute(PLACE).fetchall()
    values: list[Any] = []
    for row in (row for [rows] in calls for row in rows):
        place += 1
        values += (place, *row)
    INSERT.run(connection, values)
    return [None] * len(calls)


def claimed(connection: Connection, calls: Sequence[Call]) -> Sequence[list[Claim]]:
    """Claim for each call: a limit, the time now and the one at which the lease ends, in seconds since 1970."""
    return [_claim(connection, *call) for call in calls]


def acked(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Forget what is held."""
    return _settle(connection, ACK, calls)


def released(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Give up what is held."""
    return _settle(connection, RELEASE, calls)


def _row(item: Item) -> Call:
    return uuid4().hex if item.id is None else item.id, item.key, packed(item.headers), item.body


def _claim(connection: Connection, limit: int, now: float, until: float) -> list[Claim]:
    if connection.execute(f"SELECT {CLAIMED}", (now,)).fetchall() == [(1,)]:
        return []
    connection.execute(END)  # whoever had some has none from now on, also of those that are not claimed again
    token = randbits(62)
    rows = connection.execute(CLAIM, (until, token, limit)).fetchall()
    rows.sort()  # what an update returns has no order
    return [
        Claim(id, body, unpacked(headers), key, attempts, f"{place:x}.{token:x}")
        for place, id, body, headers, key, attempts in rows
    ]


def _settle(connection: Connection, sql: str, calls: Sequence[Call]) -> Sequence[None]:
    settled(connection, sql, {each[:2]: each for [rows] in calls for each in rows})
    return [None] * len(calls)
