"""The operations of a queue: they run in the writer's thread, inside its transaction; see `queue_sql` for the SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, PutResult, Suspects
from modd.stores.lease import LeasedRow, new_lease_number, token_end
from modd.stores.sqlite.item_ids import ItemIds
from modd.stores.sqlite.lease import update_leased
from modd.stores.sqlite.positions import Positions, keep_last
from modd.stores.sqlite.queue_put import Insertion
from modd.stores.sqlite.queue_sql import (
    ACK,
    ACK_MANY,
    BLOCKED,
    BURY,
    CLAIM_SUSPECT,
    CLAIMED,
    COME_DUE,
    DEAD,
    DELAYED,
    EXTEND,
    GIVE_WAY,
    LEASE_MANY,
    LOOK,
    NEXT_READY,
    PROMOTE,
    REDRIVE,
    RELEASE,
    RETRY,
    RETRY_NOW,
    RETRYING,
)
from modd.stores.sqlite.savepoint import savepoint
from modd.stores.sqlite.sql import CallArgs, Connection, decode_headers

FEW = 4
"""Most items that are acknowledged one by one; for more of them, one statement for each lease is faster."""


class QueueOperations:
    """The operations of one queue on the table of items.

    positions: the source of positions for new items.
    tell_news: called, in the writer's thread, if there may be more to claim after the next commit.
    """

    __slots__ = ("_positions", "ids", "name", "number", "tell_news")

    def __init__(self, name: str, positions: Positions, tell_news: Callable[[], None]) -> None:
        self.name, self._positions = name, positions
        self.ids = ItemIds(name, lambda: positions.nonce)
        self.number, self.tell_news = self.ids.number, tell_news

    def put(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[PutResult]]:
        """Insert items, and return the results of each call, which has the time now, too; see `Insertion`."""
        self.tell_news()
        insertion = Insertion(connection, self.ids, self._positions, now=calls[-1][1])
        results = insertion.add(calls)
        insertion.run()
        if insertion.has_rows:
            self._promote(connection, _blocked_keys(calls))
        return results

    def register_and_put(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[PutResult]]:
        """Insert items as `put` does, and note the name of the queue beside its number, for the command line."""
        self.register(connection)
        return self.put(connection, calls)

    def register(self, connection: Connection) -> None:
        """Note the name of the queue beside its number."""
        connection.execute("INSERT OR IGNORE INTO modd_queues VALUES (?, ?)", (self.number, self.name))

    def claim(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[Claim]]:
        """Claim items; each call has a limit, the time now, the end of the lease, and `Suspects`."""
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
        self._after_deletion(connection, [row.position for row in rows], {row.key for row in rows})
        return [None] * len(calls)

    def extend(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Extend leases; each call has the row, and the time at which the lease ends."""
        for row, until in calls:
            _update(connection, EXTEND, row, until)
        return [None] * len(calls)

    def retry(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Make items claimable again; each call has the row, the time at which it is due, and True if that is now."""
        self.tell_news()
        for row, due, now in calls:
            _update(connection, RETRY_NOW if now else RETRY, row, due)
            connection.execute("DELETE FROM modd_left WHERE place = ?", (row.position,))
        return [None] * len(calls)

    def release(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Make items claimable again as if they had not been claimed; each call has the row, and the time now."""
        self.tell_news()
        for row, now in calls:
            _update(connection, RELEASE, row, now)
        self._promote(connection, {row.key for row, _ in calls}, give_way=True)
        return [None] * len(calls)

    def bury(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Make items dead letters; each call has the row and the reason."""
        for row, reason in calls:
            _update(connection, BURY, row, reason)
        self._promote(connection, {row.key for row, _ in calls})
        return [None] * len(calls)

    def discard(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Delete dead letters; each call has ids, and returns the deleted ones."""
        return [self.delete(connection, ids, f"state = {DEAD}") for [ids] in calls]

    def redrive(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Put dead letters back; each call has ids and the time now, and returns the ones put back."""
        self.tell_news()
        return [[each for id in ids for each in self._redrive(connection, id, now)] for ids, now in calls]

    def delete(self, connection: Connection, ids: Iterable[str], condition: str) -> list[str]:
        """Delete the items that meet the condition, and return the id of each."""
        sql = f"DELETE FROM modd_items WHERE place = ? AND {condition} RETURNING key"
        deleted: list[tuple[str, int, str | None]] = []
        for id in ids:
            for position in self.ids.positions_of(connection, id):
                deleted += [(id, position, key) for [key] in connection.execute(sql, (position,)).fetchall()]
        self._after_deletion(connection, [each for _, each, _ in deleted], {key for _, _, key in deleted})
        return [id for id, _, _ in deleted]

    def remove(self, connection: Connection, positions: Sequence[int]) -> None:
        """Delete the items at these positions."""
        sql = "DELETE FROM modd_items WHERE place = ? RETURNING key"
        keys = {key for each in positions for [key] in connection.execute(sql, (each,)).fetchall()}
        self._after_deletion(connection, positions, keys)

    def clear(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[int]:
        """Delete all items in every state, and return their number to the first call."""
        connection.execute("DELETE FROM modd_left WHERE queue = ?", (self.number,))
        sql = "DELETE FROM modd_items WHERE queue = ? RETURNING place"
        positions = [position for [position] in connection.execute(sql, (self.number,)).fetchall()]
        self._after_deletion(connection, positions, ())
        return [len(positions), *[0] * (len(calls) - 1)]

    def _claim(self, connection: Connection, limit: int, now: float, until: float, suspects: Suspects) -> list[Claim]:
        any_due, any_suspect = connection.execute(LOOK, {"queue": self.number, "now": now}).fetchone()
        if any_due:
            self._make_due_items_ready(connection, now)
        claims: list[Claim] = []
        if suspects != "first" or not any_suspect:
            claims = self._claim_ready(connection, limit, until)
        if any_suspect and suspects != "none" and not claims:
            number = new_lease_number(suspect=True)
            values = {"queue": self.number, "now": now, "until": until, "token": number}
            claims = self.claims_of(connection.execute(CLAIM_SUSPECT, values).fetchall(), number)
        return claims

    def _claim_ready(self, connection: Connection, limit: int, until: float) -> list[Claim]:
        rows = connection.execute(NEXT_READY, {"queue": self.number, "limit": limit}).fetchall()
        number = new_lease_number()
        LEASE_MANY.run(connection, [row[0] for row in rows], until, number)
        return self.claims_of(rows, number)

    def claims_of(self, rows: list[Any], number: int) -> list[Claim]:
        """Return the claims of rows that were leased with this number; `CLAIMED` has their columns."""
        nonce, lease, suspect = self._positions.nonce, token_end(number), number < 0
        claims: list[Claim] = []
        for position, id, key, headers, attempts, body in CLAIMED.check(rows):
            at = f"{position:x}"  # without the calls of `id_of` and `claim_token`, which took half of the time
            names = decode_headers(headers) if headers else {}
            claims.append(Claim(nonce + at if id is None else id, body, names, key, attempts, at + lease, suspect))
        return claims

    def _make_due_items_ready(self, connection: Connection, now: float) -> None:
        """Make READY the items whose delay or backoff has ended."""
        parameters = {"queue": self.number, "now": now}
        for state in (DELAYED, RETRYING):
            rows = connection.execute(COME_DUE, parameters | {"state": state}).fetchall()
            self._promote(connection, {key for state, key in rows if state == BLOCKED}, give_way=True)

    def _after_deletion(self, connection: Connection, positions: Sequence[int], keys: Iterable[str | None]) -> None:
        """Let the file know the last position of deleted items, and make the first item of each lane its head."""
        if positions:
            keep_last(connection, max(positions))
        self._promote(connection, keys)

    def _promote(self, connection: Connection, keys: Iterable[str | None], *, give_way: bool = False) -> None:
        """Make the first item of each lane its head, if the lane has none; an item without a key has no lane.

        give_way: first let a head step back of which no attempt counts.
        """
        for key in (key for key in keys if key is not None):
            self.tell_news()
            parameters = {"queue": self.number, "key": key}
            if give_way:
                connection.execute(GIVE_WAY, parameters)
            connection.execute(PROMOTE, parameters)

    def _redrive(self, connection: Connection, id: str, now: float) -> list[str]:
        """Put back the dead letters with this id, and return it for each."""
        keys: list[str | None] = []
        for position in self.ids.positions_of(connection, id):
            free = self._positions.next_free(connection, now)
            self._positions.mark_used(free)
            keys += [key for [key] in connection.execute(REDRIVE, (free, id, position)).fetchall()]
        self._promote(connection, keys)
        return [id] * len(keys)


def _blocked_keys(calls: Sequence[CallArgs]) -> set[str]:
    return {item.key for items, _ in calls for item in items if type(item) is not bytes and item.state == BLOCKED}


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
