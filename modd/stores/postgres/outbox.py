"""An outbox in the database."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from modd.checks import checked_count, checked_span
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.stores.checks import checked_outbox_item
from modd.stores.lease import LARGEST, LeasedRow, claim_token, leased_row, new_lease_number
from modd.stores.postgres.advisory import RELAY, take_alone
from modd.stores.postgres.base import NOW, Store, WaitingPart
from modd.stores.postgres.foreign_access import ForeignAccess
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Operation, Session, in_order
from modd.stores.postgres.values import (
    EncodedItem,
    decode_headers,
    decode_optional,
    decode_text,
    encode_item,
    item_columns,
)

CHANNEL = "outbox"


INSERT = """INSERT INTO modd.outbox (place, id, key, headers, body)
    SELECT (SELECT coalesce(max(place), 0) FROM modd.outbox) + number, id, key, headers, body
    FROM unnest(%s::bytea[], %s::bytea[], %s::bytea[], %s::bytea[])
        WITH ORDINALITY AS item (id, key, headers, body, number)
    ON CONFLICT (sha256(id)) DO NOTHING"""


SECONDS_LEFT = f"""SELECT EXISTS (SELECT FROM modd.outbox),
    coalesce((SELECT max(until) FROM modd.outbox WHERE until IS NOT NULL) - {NOW}, 0)"""


HAS_LEASES = f"SELECT 1 FROM modd.outbox WHERE until > (SELECT {NOW}) LIMIT 1"


END_LEASES = "UPDATE modd.outbox SET token = NULL, until = NULL WHERE until IS NOT NULL"


CLAIM = f"""UPDATE modd.outbox SET until = {NOW} + %s, token = %s, attempts = attempts + 1
    WHERE place = ANY (ARRAY(SELECT place FROM modd.outbox ORDER BY place LIMIT %s))
    RETURNING place, id, body, headers, key, attempts"""


LEASED = """unnest(%s::bigint[], %s::bigint[]) AS claim (place, token)
    WHERE item.place = claim.place AND item.token = claim.token RETURNING claim.place, claim.token"""


ACK = f"DELETE FROM modd.outbox AS item USING {LEASED}"


RELEASE = f"UPDATE modd.outbox AS item SET token = NULL, until = NULL FROM {LEASED}"


class PostgresOutbox(WaitingPart):
    """A `modd.ports.Outbox` in the database of a `PostgresStore`: ``store.outbox``.

    Put items into it in a transaction, to have them passed on if and only if that commits. Their order is that of the
    commits, of all processes. Until the next claim, a claim can be acknowledged or released even after its lease has
    ended.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store, CHANNEL)

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; an id that the outbox has is not added again."""
        rows = [encode_item(checked_outbox_item(item)) for item in items]
        await self._write("put", put_outbox, rows)
        return [row.id for row in rows]

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease the first items, up to ``limit``, for ``lease`` seconds; none while an earlier lease lasts."""
        count, seconds = min(checked_count("limit", limit), LARGEST), checked_span("lease", lease)
        claims: list[Claim] = await self._store.access("claim").write_for_result("claim", claim_outbox, count, seconds)
        return claims

    async def ack(self, *claims: Claim) -> None:
        """Delete the items: all of them or, with `modd.ports.LeaseLost`, none."""
        await self._write("ack", ack_outbox, [leased_row(claim) for claim in claims])

    async def release(self, *claims: Claim) -> None:
        """End the leases, so that the items can be claimed again: all of them or, with `modd.ports.LeaseLost`, none."""
        await self._write("release", release_outbox, [leased_row(claim) for claim in claims])

    async def seconds_left(self) -> float:
        """Return the seconds until there may be something to claim: 0 if there is now, infinity without items."""
        # outside of a transaction that defers its writes, whose reads would see no later item
        [[has_items, seconds]] = await self._store.access("wait", at_once=True).read(Select(SECONDS_LEFT))
        return seconds if has_items else inf

    def using(self, session: object) -> SessionOutbox:
        """Return the outbox in a transaction that you have open in your session, to put items with your own writes.

        It begins, commits and rolls back nothing: items are there if and only if you commit, and a savepoint that is
        rolled back takes them with it. Put late in the transaction: until its end no other one can put into the outbox
        or append events.

        session: an ``AsyncSession``, ``Session``, ``AsyncConnection`` or ``Connection`` of SQLAlchemy on psycopg or
            asyncpg, a connection of psycopg, or one of asyncpg; in a transaction with READ COMMITTED, on the database
            of the store. A sync session blocks the loop while the server works, and is the only kind under trio.

        Raises:
            InvalidOption: the session is no such one; at a call, too, outside of a transaction.
            StoreClosed: the store is not open.
            modd.ports.StoreError: at the first call: the session is connected to another database.
        """
        return SessionOutbox(self._store.access_in(session))

    async def _write(self, call: str, operation: Operation, rows: Sequence[Any]) -> None:
        access = self._store.access(call)
        if rows:
            await access.write(operation, rows)


class SessionOutbox:
    """An outbox in a transaction of the application: ``store.outbox.using(session)``."""

    def __init__(self, access: ForeignAccess) -> None:
        self._access = access

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items if the transaction commits, and return their ids; an id that the outbox has is not added again."""
        rows = [encode_item(checked_outbox_item(item)) for item in items]
        if rows:
            await self._access.run(put_outbox, rows)
        return [row.id for row in rows]


@in_order
async def put_outbox(session: Session, rows: Sequence[EncodedItem]) -> None:
    """Insert items behind those that are committed, except those whose id is there."""
    await session.count(INSERT, item_columns(rows))
    session.note(*[row.id for row in rows])
    session.tell(CHANNEL)


async def claim_outbox(session: Session, limit: int, seconds: float) -> list[Claim]:
    """Claim the first items, unless a lease lasts."""
    await take_alone(session, RELAY)
    if await session.rows(HAS_LEASES):
        return []
    await session.count(END_LEASES)  # an earlier holder loses its lease of items that this claim leaves out, too
    number = new_lease_number()
    rows = await session.rows(CLAIM, (seconds, number, limit))
    rows.sort()  # the rows that an UPDATE returns have no order
    return [
        Claim(
            decode_text(id), body, decode_headers(headers), decode_optional(key), attempts, claim_token(place, number)
        )
        for place, id, body, headers, key, attempts in rows
    ]


async def ack_outbox(session: Session, rows: Sequence[LeasedRow]) -> None:
    """Delete leased items. Raises `LeaseLost`."""
    await settle_outbox(session, ACK, rows)


async def release_outbox(session: Session, rows: Sequence[LeasedRow]) -> None:
    """End leases. Raises `LeaseLost`."""
    await settle_outbox(session, RELEASE, rows)


async def settle_outbox(session: Session, sql: str, rows: Sequence[LeasedRow]) -> None:
    """Execute a statement for leased rows. Raises `LeaseLost` with the ids of those that are not leased."""
    await take_alone(session, RELAY)
    places, tokens = [row.position for row in rows], [row.number for row in rows]
    settled = {tuple(row) for row in await session.rows(sql, (places, tokens))}
    lost = [row.id for row in dict.fromkeys(rows) if (row.position, row.number) not in settled]
    if lost:
        raise LeaseLost(lost)
    session.tell(CHANNEL)
