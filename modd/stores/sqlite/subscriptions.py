"""The announced handlers of a queue, and the items that were left to workers that know them.

Theory of operation. An item that was left is RETRYING until the retention is over. So it keeps its key, and the
statements that claim from a queue know nothing of it. Its row in ``modd_left`` has the name under which it was left;
`claim_left` claims such items and deletes their rows. The two rows have the same ``due`` only as long as the item is
left: a row of an item that was settled or cancelled since is stale, and is deleted when it is due.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from modd.ports.errors import LeaseLost
from modd.ports.items import HANDLER, Claim, Item, Subscription
from modd.ports.queue import CreateDeliveries
from modd.stores.lease import LeasedRow, leased_row, new_lease_number
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.lease import LEASED as IS_LEASED
from modd.stores.sqlite.queue_operations import QueueOperations
from modd.stores.sqlite.queue_put import ItemRow
from modd.stores.sqlite.queue_sql import CLAIMED_NAMES, DEAD, LEASE, LEASED, RETRYING
from modd.stores.sqlite.sql import CallArgs, Connection

ANNOUNCE = "INSERT OR REPLACE INTO modd_subscriptions (queue, type, bus, handler, seen) VALUES (?, ?, ?, ?, ?)"


EXPIRE = "DELETE FROM modd_subscriptions WHERE queue = ? AND seen < ?"


FORGET = "DELETE FROM modd_subscriptions WHERE queue = ? AND handler = ?"


SUBSCRIPTIONS = "SELECT bus, type, handler, seen FROM modd_subscriptions WHERE queue = ? ORDER BY type, bus, handler"


HANDLERS = Columns(bus=str, type=str, handler=str, seen=float)
"""The columns of announced handlers."""


OF_TYPE = "SELECT bus, type, handler, seen FROM modd_subscriptions WHERE queue = ? AND type = ? ORDER BY bus, handler"


OF_HANDLER = f"""SELECT place FROM modd_items WHERE queue = ? AND state NOT IN ({LEASED}, {DEAD})
    AND headers IS NOT NULL AND instr(headers, ?)"""


LEFT_SINCE = "SELECT since FROM modd_left WHERE place = ?"


SINCE = Columns(since=float)


# the claims of a suspect before this one count
LEAVE = f"""UPDATE modd_items SET token = NULL, state = {RETRYING}, due = ?, attempts = attempts - (token >= 0)
    WHERE {IS_LEASED}"""


NOTE_LEFT = "INSERT OR REPLACE INTO modd_left (place, queue, name, since, due) VALUES (?, ?, ?, ?, ?)"


LEFT_NAMES = """WITH RECURSIVE names (name) AS (SELECT min(name) FROM modd_left WHERE queue = :queue UNION ALL
    SELECT (SELECT min(name) FROM modd_left WHERE queue = :queue AND name > names.name) FROM names
    WHERE name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL"""
"""The names under which items were left, with a look at one row for each."""


NAMES = Columns(name=str)


LEFT_ITEMS = f"""SELECT modd_left.place FROM modd_left CROSS JOIN modd_items AS item USING (place)
    WHERE modd_left.queue = ? AND name = ? AND modd_left.due > ? AND item.state = {RETRYING}
    AND item.due = modd_left.due ORDER BY modd_left.place LIMIT ?"""
"""The places of the items of a name that are still left; CROSS JOIN has SQLite look at these rows alone."""


CLAIM_LEFT = f"{LEASE} WHERE place = ? RETURNING coalesce(rank, place), {CLAIMED_NAMES}"


DELETE_LEFT = "DELETE FROM modd_left WHERE place = ?"


class SubscriptionOperations:
    """The operations of one queue on announced handlers and left items; they run in the writer's thread.

    items: the operations on the items of the queue.
    """

    def __init__(self, items: QueueOperations) -> None:
        self._items, self._number = items, items.number

    def announce(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Note handlers; each call has them, the time now, and the time of announcements that are forgotten."""
        self._items.register(connection)
        for subscriptions, now, expired in calls:
            rows = [(self._number, each.type, each.bus, each.handler, now) for each in subscriptions]
            connection.executemany(ANNOUNCE, rows)
            connection.execute(EXPIRE, (self._number, expired))
        return [None] * len(calls)

    def forget(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[int]:
        """Forget handlers; each call has a name, and returns the number of removed items."""
        return [self._forget(connection, handler) for [handler] in calls]

    def fan_out(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[int | None]:
        """Replace events; each call is one of `_fan_out`."""
        return [self._fan_out(connection, *call) for call in calls]

    def leave(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[bool]:
        """Leave items; each call has the row, the name, the time now, and the seconds until the item is due."""
        return [self._leave(connection, *call) for call in calls]

    def claim_left(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[Claim]]:
        """Claim left items; each call has their names, a limit, the time now, and the end of the lease."""
        return [self._claim_left(connection, *call) for call in calls]

    def _forget(self, connection: Connection, handler: str) -> int:
        connection.execute(FORGET, (self._number, handler))
        header = msgspec.json.encode({HANDLER: handler})[1:-1]  # a quote in another header would be escaped
        positions = [position for [position] in connection.execute(OF_HANDLER, (self._number, header)).fetchall()]
        self._items.remove(connection, positions)
        connection.executemany(DELETE_LEFT, [(position,) for position in positions])
        return len(positions)

    def _fan_out(
        self,
        connection: Connection,
        claim: Claim,
        types: Collection[str],
        create: CreateDeliveries,
        to_row: Any,
        now: float,
    ) -> int | None:
        found = [row for type in types for row in connection.execute(OF_TYPE, (self._number, type)).fetchall()]
        items: Sequence[Item] | None = create([Subscription(*row) for row in HANDLERS.check(found)])
        if items is None:
            return None
        item_rows: list[ItemRow] = [to_row(item) for item in items]
        self._items.ack(connection, [([leased_row(claim)],)])
        if item_rows:
            self._items.put(connection, [(item_rows, now)])
        return len(item_rows)

    def _leave(self, connection: Connection, row: LeasedRow, name: str, now: float, seconds: float) -> bool:
        found = SINCE.check(connection.execute(LEFT_SINCE, (row.position,)).fetchall())
        since: float = found[0][0] if found else now
        if since + seconds <= now:
            return False
        if not connection.execute(LEAVE, (since + seconds, row.position, row.number)).rowcount:
            raise LeaseLost([row.id])
        connection.execute(NOTE_LEFT, (row.position, self._number, name, since, since + seconds))
        self._items.tell_news()
        return True

    def _claim_left(
        self, connection: Connection, names: Collection[str], limit: int, now: float, until: float
    ) -> list[Claim]:
        number, rows = new_lease_number(), list[Any]()
        left = NAMES.check(connection.execute(LEFT_NAMES, {"queue": self._number}).fetchall())
        for name in (name for [name] in left if name in names):
            found = connection.execute(LEFT_ITEMS, (self._number, name, now, limit - len(rows))).fetchall()
            for [position] in found:
                rows += connection.execute(CLAIM_LEFT, (until, number, position)).fetchall()
            connection.executemany(DELETE_LEFT, found)
        return self._items.claims_of([row for _, *row in sorted(rows)], number)
