"""The announced handlers of a queue, and the items that were left to workers that know them.

Theory of operation. An item that was left is RETRYING until the retention is over. So it keeps its key, and the
statements that claim from a queue know nothing of it. Its row in ``left_items`` has the name under which it was left;
`claim_left` claims such items and deletes their rows. The two rows have the same ``due`` only as long as the item is
left: a row of an item that was settled or cancelled since is stale, and is deleted when it is due.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from modd.ports.items import HANDLER, Claim, Item, Subscription
from modd.ports.queue import CreateDeliveries
from modd.stores.lease import LeasedRow, leased_row, new_lease_number
from modd.stores.postgres.advisory import LockNames, take_lanes
from modd.stores.postgres.base import NOW
from modd.stores.postgres.lease import change_leased
from modd.stores.postgres.queue_operations import QueueOperations
from modd.stores.postgres.queue_put import new_item
from modd.stores.postgres.queue_sql import CLAIMED, DEAD, DELETE_LEFT, IS_LEASED, LEASE, LEASED, RETRYING, TIME
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import decode_headers, decode_text, encode_headers, encode_text, encode_texts

ANNOUNCE = f"""INSERT INTO modd.subscriptions (queue, type, bus, handler, seen)
    SELECT %s::bigint, type, bus, handler, {TIME} FROM unnest(%s::bytea[], %s::bytea[], %s::bytea[])
    AS new (type, bus, handler) ORDER BY type, bus, handler
    ON CONFLICT (queue, type, bus, handler) DO UPDATE SET seen = excluded.seen"""


EXPIRE = f"DELETE FROM modd.subscriptions WHERE queue = %s AND seen < {TIME} - %s"


FORGET = "DELETE FROM modd.subscriptions WHERE queue = %s AND handler = %s"


SUBSCRIPTIONS = "SELECT bus, type, handler, seen FROM modd.subscriptions WHERE queue = %s ORDER BY type, bus, handler"


OF_TYPES = """SELECT bus, type, handler, seen FROM modd.subscriptions WHERE queue = %s AND type = ANY(%s::bytea[])
    ORDER BY type, bus, handler"""


NOT_BEGUN = f"state NOT IN ({LEASED}, {DEAD})"


OF_HANDLER = f"""SELECT place, key, headers FROM modd.items WHERE queue = %s AND {NOT_BEGUN}
    AND headers IS NOT NULL AND position(%s IN headers) > 0"""


LEFT_SINCE = f"SELECT {NOW}, (SELECT since FROM modd.left_items WHERE place = %s)"


# the claims of a suspect before this one count
LEAVE = f"""UPDATE modd.items SET token = NULL, state = {RETRYING}, due = %s,
    attempts = attempts - CASE WHEN token < 0 THEN 0 ELSE 1 END WHERE {IS_LEASED}"""


NOTE_LEFT = """INSERT INTO modd.left_items (place, queue, name, since, due) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (place) DO UPDATE SET name = excluded.name, since = excluded.since, due = excluded.due"""


LEFT_NAMES = """WITH RECURSIVE names (name) AS (
    SELECT (SELECT name FROM modd.left_items WHERE queue = %s ORDER BY name LIMIT 1)
    UNION ALL SELECT (SELECT next.name FROM modd.left_items AS next
        WHERE next.queue = %s AND next.name > names.name ORDER BY next.name LIMIT 1)
    FROM names WHERE name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL"""
"""The names under which items were left, with a look at one row for each."""


CLAIM_LEFT = f"""{LEASE} WHERE place = ANY(ARRAY(
    SELECT item.place FROM modd.left_items AS left_item JOIN modd.items AS item USING (place)
    WHERE left_item.queue = %s AND left_item.name = ANY(%s::bytea[]) AND left_item.due > {TIME}
    AND item.state = {RETRYING} AND item.due = left_item.due
    ORDER BY left_item.place LIMIT %s FOR UPDATE OF item SKIP LOCKED)) RETURNING {CLAIMED}"""


def subscriptions_of(rows: Sequence[Any]) -> list[Subscription]:
    """Return the subscriptions of rows."""
    return [
        Subscription(decode_text(bus), decode_text(type), decode_text(handler), seen)
        for bus, type, handler, seen in rows
    ]


class HandlerOperations:
    """The operations of one queue on announced handlers and left items.

    items: the operations on the items of the queue.
    """

    def __init__(self, items: QueueOperations) -> None:
        self._items, self._number = items, items.number

    async def announce(self, session: Session, subscriptions: Sequence[Subscription], retention: float) -> None:
        """Note that handlers were seen, and delete those that were not seen for so many seconds."""
        await self._items.register(session)
        names = dict.fromkeys((each.type, each.bus, each.handler) for each in subscriptions)
        columns = [encode_texts(name[at] for name in names) for at in range(3)]
        await session.count(ANNOUNCE, (self._number, *columns))
        await session.count(EXPIRE, (self._number, retention))

    async def forget(self, session: Session, handler: str) -> int:
        """Forget a handler, and return the number of its items that were deleted."""
        await session.count(FORGET, (self._number, encode_text(handler)))
        pair = (encode_headers({HANDLER: handler}) or b"")[1:]
        rows = await session.rows(OF_HANDLER, (self._number, pair))
        found = [row for row in rows if decode_headers(row[2]).get(HANDLER) == handler]
        keys = {key for _, key, _ in found if key is not None}
        await take_lanes(session, LockNames(self._number, keys))
        gone = await self._items.delete_at(session, [place for place, _, _ in found], NOT_BEGUN)
        await session.count(DELETE_LEFT, ([*gone],))
        await self._items.promote(session, keys)
        return len(gone)

    async def fan_out(
        self, session: Session, claim: Claim, types: Collection[str], create: CreateDeliveries
    ) -> int | None:
        """Replace an event with the items that ``create`` makes, and return their number."""
        rows = await session.rows(OF_TYPES, (self._number, encode_texts(types)))
        items: Sequence[Item] | None = create(subscriptions_of(rows))
        if items is None:
            return None
        new = [new_item(item) for item in items]
        await self._items.ack(session, [leased_row(claim)])
        await self._items.put(session, new)
        return len(new)

    async def leave(self, session: Session, row: LeasedRow, name: str, seconds: float) -> bool:
        """Leave an item under a name until so many seconds are over; return False once they are."""
        [[now, earlier]] = await session.rows(LEFT_SINCE, (row.position,))
        since: float = now if earlier is None else earlier
        due = since + seconds
        if due <= now:
            return False
        await change_leased(session, LEAVE, row, due)
        await session.count(NOTE_LEFT, (row.position, self._number, encode_text(name), since, due))
        session.tell(self._items.channel)
        return True

    async def claim_left(self, session: Session, names: Collection[str], limit: int, lease: float) -> list[Claim]:
        """Lease up to so many items that were left under these names."""
        number = new_lease_number()
        parameters = (lease, number, self._number, encode_texts(names), limit)
        rows = sorted(await session.rows(CLAIM_LEFT, parameters))
        await session.count(DELETE_LEFT, ([place for _, place, *_ in rows],))
        return self._items.claims_of(rows, number)
