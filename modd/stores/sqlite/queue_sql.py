"""What a queue does in the file. Every function here runs in the writer's thread, inside its transaction.

State of an item: READY may be claimed, BEHIND waits for its key, DELAYED was put with a delay, LEASED, DEAD, RETRYING
waits for its next attempt. Of each key one item at most is READY, LEASED or RETRYING: its head. A head of which an
attempt counts stays the head; the others give way to one that was put before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from secrets import randbits
from typing import Any

from modd.ports.errors import LeaseLost
from modd.ports.items import Claim
from modd.stores.sqlite.batch import savepoint
from modd.stores.sqlite.positions import Places
from modd.stores.sqlite.sql import Call, Connection, Insert, Statement, settled, unpacked

READY, BEHIND, DELAYED, LEASED, RETRYING, DEAD = range(6)


STEP = 1000
"""Items that come due in one go, so that a million at once keep nobody waiting."""


DUE = "queue = :queue AND state = :state AND due IS NOT NULL AND due <= :now"


ANY_DUE = " OR ".join(
    f"EXISTS (SELECT 1 FROM modd_items WHERE {DUE.replace(':state', str(state))})"
    for state in (DELAYED, LEASED, RETRYING)
)


COME_DUE = f"""UPDATE modd_items SET state = (state = 2 AND key IS NOT NULL), due = NULL WHERE place IN (
    SELECT place FROM modd_items WHERE {DUE} ORDER BY due LIMIT {STEP}) RETURNING state, key"""


OF_KEY = "queue = :queue AND key = :key AND key IS NOT NULL"


GIVE_WAY = f"UPDATE modd_items SET state = 1 WHERE {OF_KEY} AND state = 0 AND attempts = 0"


PROMOTE = f"""UPDATE modd_items SET state = 0 WHERE place = (
    SELECT place FROM modd_items WHERE {OF_KEY} AND state = 1 ORDER BY place LIMIT 1)
    AND NOT EXISTS (SELECT 1 FROM modd_items WHERE {OF_KEY} AND state IN (0, 3, 4))"""


CLAIM = """UPDATE modd_items SET state = 3, due = :until, attempts = attempts + 1, token = :token WHERE place IN (
    SELECT place FROM modd_items WHERE queue = :queue AND state = 0 ORDER BY place LIMIT :limit)
    RETURNING place, id, key, headers, attempts, body"""


HELD = "place = ? AND token = ?"


ACK = f"DELETE FROM modd_items WHERE {HELD}"


ACK_MANY = Statement("DELETE FROM modd_items WHERE token = ? AND place IN (", "?", ")")


FEW = 4
"""Acknowledged one by one."""


EXTEND = f"UPDATE modd_items SET state = 3, due = ? WHERE {HELD}"


RETRY = f"UPDATE modd_items SET token = NULL, state = ?, due = ? WHERE {HELD}"


RELEASE = f"""UPDATE modd_items SET token = NULL, due = NULL, attempts = attempts - 1,
    state = (key IS NOT NULL AND attempts = 1) WHERE {HELD}"""


BURY = f"""UPDATE modd_items SET token = NULL, state = 5, reason = ?, due = (SELECT coalesce(max(due), 0) + 1
    FROM modd_items AS other WHERE other.queue = modd_items.queue AND other.state = 5 AND other.due IS NOT NULL)
    WHERE {HELD}"""


REDRIVE = """UPDATE modd_items SET place = ?, id = ?, state = (key IS NOT NULL), attempts = 0, due = NULL, reason = NULL
    WHERE place = ? AND state = 5 RETURNING key"""


def number_of(queue: str) -> int:
    """The number that stands for a queue: 48 bits made of its name, so that it need not be looked up."""
    return int.from_bytes(blake2b(queue.encode(), digest_size=6).digest(), "big")


class QueueSql:
    """The operations of one queue.

    nonce: that of the file, with which the ids begin that are made here. places: those of the file, for one who puts.
    """

    def __init__(self, name: str, nonce: Callable[[], str], places: Places | None = None) -> None:
        self.name, self.number, self._nonce = name, number_of(name), nonce
        self._places = places or Places()
        self.stirred = False
        """Whether there may be more to claim than before; set in the writer's thread, and unset between its commits."""
        self._insert_plain = Insert("INSERT INTO modd_items (place, queue, state, body)", f"(?, {self.number}, 0, ?)")
        self._insert = Insert(
            "INSERT INTO modd_items (place, queue, state, due, id, key, headers, body)",
            f"(?, {self.number}, ?, ?, ?, ?, ?, ?)",
            "ON CONFLICT (queue, id) WHERE id IS NOT NULL DO NOTHING",
        )

    def register(self, connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
        """Note the name that the number stands for, for those who look at the file."""
        connection.execute("INSERT OR IGNORE INTO modd_queues VALUES (?, ?)", (self.number, self.name))
        return [None] * len(calls)

    def put(self, connection: Connection, calls: Sequence[Call]) -> Sequence[list[str]]:
        """Insert items: bodies, or rows of state, due, id, key, headers and body. Those that are known are left out."""
        self.stirred = True
        place, nonce = self._places.next(connection), self._nonce()
        plain: list[Any] = []
        full: list[Any] = []
        results: list[list[str]] = []
        for [items] in calls:
            ids: list[str] = []
            for item in items:
                if type(item) is bytes:
                    ids.append(f"{nonce}{place:x}")
                    plain += (place, item)
                else:
                    ids.append(self.id_of(place, item[2]))
                    if item[2] is not None and self.place_of(connection, item[2]) is not None:
                        continue
                    full += (place, *item)
                place += 1
            results.append(ids)
        self._places.use(place - 1)
        self._insert_plain.run(connection, plain)
        self._insert.run(connection, full)
        keys = {item[3] for [items] in calls for item in items if type(item) is not bytes and item[0] == BEHIND}
        self._promote(connection, keys)
        return results

    def claim(self, connection: Connection, calls: Sequence[Call]) -> Sequence[list[Claim]]:
        """Claim for each call: a limit, the time now and the one at which the lease ends, in seconds since 1970."""
        return [self._claim(connection, *call) for call in calls]

    def ack(self, connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
        """Forget what is held."""
        held = {each[:2]: each for [claims] in calls for each in claims}
        if len(calls) > 1 and len(held) < sum(len(claims) for [claims] in calls):
            raise LeaseLost([])  # two with one claim, perhaps: one by one, so that the second is told
        if len(held) > FEW:
            _acknowledge_many(connection, held)
        else:
            settled(connection, ACK, held)
        self._promote(connection, {each[3] for each in held.values()})
        return [None] * len(calls)

    def extend(self, connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
        """Have leases end at another time: each call has what is held, and the time."""
        for held, until in calls:
            self._settle(connection, EXTEND, held, until)
        return [None] * len(calls)

    def retry(self, connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
        """Make items ready again: each call has what is held, and when it is due, None for now."""
        self.stirred = True
        for held, due in calls:
            self._settle(connection, RETRY, held, READY if due is None else RETRYING, due)
        return [None] * len(calls)

    def release(self, connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
        """Make items ready again as if they had not been claimed."""
        self.stirred = True
        for [held] in calls:
            self._settle(connection, RELEASE, held)
        self._promote(connection, {held[3] for [held] in calls}, give_way=True)
        return [None] * len(calls)

    def bury(self, connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
        """Put items aside: each call has what is held, and the reason."""
        for held, reason in calls:
            self._settle(connection, BURY, held, reason)
        self._promote(connection, {held[3] for held, _ in calls})
        return [None] * len(calls)

    def cancel(self, connection: Connection, calls: Sequence[Call]) -> Sequence[list[str]]:
        """Forget what has not been claimed, and return the ids of that for each call."""
        return [self._delete(connection, ids, "attempts = 0 AND state IN (0, 1, 2)") for [ids] in calls]

    def discard(self, connection: Connection, calls: Sequence[Call]) -> Sequence[list[str]]:
        """Forget what was buried, and return the ids of that for each call."""
        return [self._delete(connection, ids, "state = 5") for [ids] in calls]

    def redrive(self, connection: Connection, calls: Sequence[Call]) -> Sequence[list[str]]:
        """Put back what was buried, and return the ids of that for each call."""
        self.stirred = True
        return [[id for id in dict.fromkeys(ids) if self._redrive(connection, id)] for [ids] in calls]

    def id_of(self, place: int, id: str | None) -> str:
        """What an item is called."""
        return id if id is not None else f"{self._nonce()}{place:x}"

    def _claim(self, connection: Connection, limit: int, now: float, until: float) -> list[Claim]:
        self._come_due(connection, now)
        token = randbits(62)
        given = {"queue": self.number, "until": until, "token": token, "limit": limit}
        rows = connection.execute(CLAIM, given).fetchall()
        rows.sort()  # what an update returns has no order
        nonce, by = self._nonce(), f".{token:x}"
        claims = []
        for place, id, key, headers, attempts, body in rows:
            at = f"{place:x}"
            claims.append(Claim(nonce + at if id is None else id, body, unpacked(headers), key, attempts, at + by))
        return claims

    def _come_due(self, connection: Connection, now: float) -> None:
        """Make ready what is due and what is no longer leased; its token stays good until somebody else claims it."""
        given = {"queue": self.number, "now": now}
        if not connection.execute(f"SELECT {ANY_DUE}", given).fetchone()[0]:
            return
        for state in (DELAYED, LEASED, RETRYING):
            rows = connection.execute(COME_DUE, given | {"state": state}).fetchall()
            self._promote(connection, {key for state, key in rows if state == BEHIND}, give_way=True)

    def _promote(self, connection: Connection, keys: Iterable[str | None], *, give_way: bool = False) -> None:
        """Have each of these keys led by the first of its items, unless it has a head that stays; None is no key."""
        for key in (key for key in keys if key is not None):
            self.stirred = True
            given = {"queue": self.number, "key": key}
            if give_way:
                connection.execute(GIVE_WAY, given)
            connection.execute(PROMOTE, given)

    def _settle(self, connection: Connection, sql: str, held: Call, *values: Any) -> None:
        place, token, id, _ = held
        if not connection.execute(sql, (*values, place, token)).rowcount:
            raise LeaseLost([id])

    def _delete(self, connection: Connection, ids: Iterable[str], condition: str) -> list[str]:
        """Delete the items of which this is true, and return their ids."""
        sql = f"DELETE FROM modd_items WHERE place = ? AND {condition} RETURNING key"
        keys = {id: key for id in dict.fromkeys(ids) for [key] in self._each(connection, sql, id)}
        self._promote(connection, {*keys.values()})
        return [*keys]

    def _redrive(self, connection: Connection, id: str) -> bool:
        place = self._places.next(connection)
        self._places.use(place)
        keys = [key for [key] in self._each(connection, REDRIVE, id, place, id)]
        self._promote(connection, keys)
        return bool(keys)

    def _each(self, connection: Connection, sql: str, id: str, *values: Any) -> list[Any]:
        """What a statement, whose last value is a place, returns for the item of this id, if there is one."""
        place = self.place_of(connection, id)
        return [] if place is None else connection.execute(sql, (*values, place)).fetchall()

    def place_of(self, connection: Connection, id: str) -> int | None:
        """Where the item stands that is called so; None if there is none."""
        nonce, place = self._nonce(), id.removeprefix(self._nonce())
        if place != id and len(place) < 16 and f"{nonce}{_number(place):x}" == id:  # one that was made here
            given = (_number(place), self.number)
            row = connection.execute("SELECT 1 FROM modd_items WHERE place = ? AND queue = ? AND id IS NULL", given)
            if row.fetchone():
                return given[0]
        row = connection.execute("SELECT place FROM modd_items WHERE queue = ? AND id = ?", (self.number, id))
        return next((place for [place] in row.fetchall()), None)


def _acknowledge_many(connection: Connection, held: Mapping[Call, Call]) -> None:
    """In as few statements as there are claims: half the price."""
    claimed: dict[int, list[int]] = {}
    for place, token in held:
        claimed.setdefault(token, []).append(place)
    try:
        with savepoint(connection):
            for token, places in claimed.items():
                if ACK_MANY.run(connection, places, token) < len(places):
                    raise LeaseLost([])
    except LeaseLost:  # one by one, to know which
        settled(connection, ACK, held)


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return -1
