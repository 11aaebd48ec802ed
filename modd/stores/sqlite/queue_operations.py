"""The operations of a queue: they run in the writer's thread, inside its transaction; see `queue_sql` for the SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from modd.ports.errors import LeaseLost
from modd.ports.items import Claim
from modd.stores.sqlite.item_ids import ItemIds
from modd.stores.sqlite.lease import LeasedRow, new_lease_number, token_end, update_leased
from modd.stores.sqlite.positions import Positions
from modd.stores.sqlite.queue_sql import (
    ACK,
    ACK_MANY,
    ANY_DUE,
    BLOCKED,
    BURY,
    CLAIM,
    COME_DUE,
    DEAD,
    DELAYED,
    EXTEND,
    GIVE_WAY,
    LEASED,
    PROMOTE,
    READY,
    REDRIVE,
    RELEASE,
    RETRY,
    RETRYING,
)
from modd.stores.sqlite.savepoint import savepoint
from modd.stores.sqlite.sql import BulkInsert, CallArgs, Connection, decode_headers

FEW = 4
"""Most items that are acknowledged one by one; for more of them, one statement for each lease is faster."""


class ItemRow(NamedTuple):
    """An item to insert; its due time is in seconds since 1970."""

    state: int
    due: float | None
    id: str | None
    key: str | None
    headers: bytes | None
    body: bytes


class QueueOperations:
    """The operations of one queue on the table of items.

    positions: the source of positions for new items.
    """

    def __init__(self, name: str, positions: Positions) -> None:
        self.name, self._positions = name, positions
        self.ids = ItemIds(name, lambda: positions.nonce)
        self.number = self.ids.number
        self.has_news = False
        """True if there may be more to claim than at the last commit; set in the writer's thread, unset in the loop
        after a commit."""
        self._insert_plain = BulkInsert(
            "INSERT INTO modd_items (place, queue, state, body)", f"(?, {self.number}, {READY}, ?)"
        )
        self._insert = BulkInsert(
            "INSERT INTO modd_items (place, queue, state, due, id, key, headers, body)",
            f"(?, {self.number}, ?, ?, ?, ?, ?, ?)",
            "ON CONFLICT (queue, id) WHERE id IS NOT NULL DO NOTHING",
        )

    def register(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Note the name of the queue beside its number, for the command line."""
        connection.execute("INSERT OR IGNORE INTO modd_queues VALUES (?, ?)", (self.number, self.name))
        return [None] * len(calls)

    def put(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Insert items, and return the ids of each call; items whose id is there are left out.

        An item is its body alone, which is faster, or an `ItemRow`.
        """
        self.has_news = True
        position, nonce = self._positions.next_free(connection), self._positions.nonce
        plain: list[Any] = []
        full: list[Any] = []
        results: list[list[str]] = []
        for [items] in calls:
            ids: list[str] = []
            for item in items:
                if type(item) is bytes:
                    ids.append(f"{nonce}{position:x}")
                    plain += (position, item)
                else:
                    ids.append(self.ids.id_of(position, item.id))
                    if item.id is not None and self.ids.position_of(connection, item.id) is not None:
                        continue
                    full += (position, *item)
                position += 1
            results.append(ids)
        self._positions.mark_used(position - 1)
        self._insert_plain.run(connection, plain)
        self._insert.run(connection, full)
        self._promote(connection, _blocked_keys(calls))
        return results

    def claim(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[Claim]]:
        """Claim items; each call has a limit, the time now, and the time at which the lease ends."""
        return [self._claim(connection, *call) for call in calls]

    def ack(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Delete leased items; each call has their rows."""
        rows = [row for [rows] in calls for row in rows]
        unique = list(dict.fromkeys(rows))
        if len(calls) > 1 and len(unique) < len(rows):
            raise LeaseLost([])  # two callers may have one claim: call by call, so that the second one is told
        rows = unique
        if len(rows) > FEW:
            _ack_many(connection, rows)
        else:
            update_leased(connection, ACK, rows)
        self._promote(connection, {row.key for row in rows})
        return [None] * len(calls)

    def extend(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Extend leases; each call has the row, and the time at which the lease ends."""
        for row, until in calls:
            _update(connection, EXTEND, row, until)
        return [None] * len(calls)

    def retry(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Make items claimable again; each call has the row, and the time at which it is due, None for now."""
        self.has_news = True
        for row, due in calls:
            _update(connection, RETRY, row, READY if due is None else RETRYING, due)
        return [None] * len(calls)

    def release(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Make items claimable again as if they had not been claimed; each call has the row."""
        self.has_news = True
        for [row] in calls:
            _update(connection, RELEASE, row)
        self._promote(connection, {row.key for [row] in calls}, give_way=True)
        return [None] * len(calls)

    def bury(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Make items dead letters; each call has the row and the reason."""
        for row, reason in calls:
            _update(connection, BURY, row, reason)
        self._promote(connection, {row.key for row, _ in calls})
        return [None] * len(calls)

    def cancel(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Delete items of which no attempt counts; each call has ids, and returns the deleted ones."""
        unclaimed = f"attempts = 0 AND state IN ({READY}, {BLOCKED}, {DELAYED})"
        return [self._delete(connection, ids, unclaimed) for [ids] in calls]

    def discard(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Delete dead letters; each call has ids, and returns the deleted ones."""
        return [self._delete(connection, ids, f"state = {DEAD}") for [ids] in calls]

    def redrive(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Put dead letters back; each call has ids, and returns the ones put back."""
        self.has_news = True
        return [[id for id in dict.fromkeys(ids) if self._redrive(connection, id)] for [ids] in calls]

    def _claim(self, connection: Connection, limit: int, now: float, until: float) -> list[Claim]:
        self._make_due_items_ready(connection, now)
        number = new_lease_number()
        parameters = {"queue": self.number, "until": until, "token": number, "limit": limit}
        rows = connection.execute(CLAIM, parameters).fetchall()
        rows.sort()  # the rows that an UPDATE returns have no order
        nonce, lease = self._positions.nonce, token_end(number)
        return [
            Claim(
                id if id is not None else f"{nonce}{position:x}",  # not `id_of`: these calls took half of the time
                body,
                decode_headers(headers) if headers else {},
                key,
                attempts,
                f"{position:x}{lease}",
            )
            for position, id, key, headers, attempts, body in rows
        ]

    def _make_due_items_ready(self, connection: Connection, now: float) -> None:
        """Make READY the items whose delay, lease or backoff has ended."""
        parameters = {"queue": self.number, "now": now}
        if not connection.execute(f"SELECT {ANY_DUE}", parameters).fetchone()[0]:
            return
        for state in (DELAYED, LEASED, RETRYING):
            rows = connection.execute(COME_DUE, parameters | {"state": state}).fetchall()
            self._promote(connection, {key for state, key in rows if state == BLOCKED}, give_way=True)

    def _promote(self, connection: Connection, keys: Iterable[str | None], *, give_way: bool = False) -> None:
        """Make the first item of each lane its head, if the lane has none; an item without a key has no lane.

        give_way: first let a head step back of which no attempt counts.
        """
        for key in (key for key in keys if key is not None):
            self.has_news = True
            parameters = {"queue": self.number, "key": key}
            if give_way:
                connection.execute(GIVE_WAY, parameters)
            connection.execute(PROMOTE, parameters)

    def _delete(self, connection: Connection, ids: Iterable[str], condition: str) -> list[str]:
        """Delete the items that meet the condition, and return their ids."""
        sql = f"DELETE FROM modd_items WHERE place = ? AND {condition} RETURNING key"
        keys = {id: key for id in dict.fromkeys(ids) for [key] in self._execute_for(connection, sql, id)}
        self._promote(connection, {*keys.values()})
        return [*keys]

    def _redrive(self, connection: Connection, id: str) -> bool:
        position = self._positions.next_free(connection)
        self._positions.mark_used(position)
        keys = [key for [key] in self._execute_for(connection, REDRIVE, id, position, id)]
        self._promote(connection, keys)
        return bool(keys)

    def _execute_for(self, connection: Connection, sql: str, id: str, *values: Any) -> list[Any]:
        """Execute a statement, whose last value is a position, for the item with this id; return its rows."""
        position = self.ids.position_of(connection, id)
        return [] if position is None else connection.execute(sql, (*values, position)).fetchall()


def _blocked_keys(calls: Sequence[CallArgs]) -> set[str]:
    return {item.key for [items] in calls for item in items if type(item) is not bytes and item.state == BLOCKED}


def _update(connection: Connection, sql: str, row: LeasedRow, *values: Any) -> None:
    if not connection.execute(sql, (*values, row.position, row.number)).rowcount:
        raise LeaseLost([row.id])


def _ack_many(connection: Connection, rows: Sequence[LeasedRow]) -> None:
    """Delete leased items with one statement for each lease, at half the price."""
    leases: dict[int, list[int]] = {}
    for row in rows:
        leases.setdefault(row.number, []).append(row.position)
    try:
        with savepoint(connection):
            for number, positions in leases.items():
                if ACK_MANY.run(connection, positions, number) < len(positions):
                    raise LeaseLost([])
    except LeaseLost:  # again one by one, to name the items that are lost
        update_leased(connection, ACK, rows)
