"""A queue in the file."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import uuid4

from modd.checks import checked_count, checked_delay, checked_span
from modd.errors import InvalidOption
from modd.ports.items import Claim, DeadLetter, Item, Stats
from modd.stores.sqlite.base import Alone, Host, Waited, Way, held
from modd.stores.sqlite.positions import Places
from modd.stores.sqlite.queue_sql import ANY_DUE, BEHIND, DEAD, DELAYED, LEASED, READY, RETRYING, QueueSql
from modd.stores.sqlite.readers import rows_of
from modd.stores.sqlite.sql import Call, packed, unpacked

COUNT = "SELECT count(*) FROM modd_items WHERE queue = :queue AND due IS NOT NULL"


COUNTS = f"""SELECT
    (SELECT count(*) FROM modd_items WHERE queue = :queue AND state = 0)
    + (SELECT count(*) FROM modd_items WHERE queue = :queue AND state = 1 AND key IS NOT NULL)
    + {" + ".join(f"({COUNT} AND state = {state} AND due <= :now)" for state in (DELAYED, LEASED, RETRYING))},
    ({COUNT} AND state = {DELAYED} AND due > :now) + ({COUNT} AND state = {RETRYING} AND due > :now),
    ({COUNT} AND state = {LEASED} AND due > :now),
    ({COUNT} AND state = {DEAD})"""


BURIED = f"""SELECT place, id, body, headers, reason, attempts FROM modd_items
    WHERE queue = ? AND state = {DEAD} AND due IS NOT NULL ORDER BY due LIMIT ?"""


ANY = f"SELECT EXISTS (SELECT 1 FROM modd_items WHERE queue = :queue AND state = 0) OR {ANY_DUE}"


class SqliteQueue(Waited):
    """A `modd.ports.Queue` in the file of a `SqliteStore`, which makes it: ``store.queue("orders")``.

    An item takes as long to put, to claim and to settle when there are many as when there are few.
    """

    sure: ClassVar[bool] = True

    def __init__(self, host: Host, name: str, outbox: Any, places: Places) -> None:
        super().__init__(host)
        self.name, self.outbox = name, outbox
        self._sql = QueueSql(name, lambda: places.nonce, places)
        self._put, self._claim, self._ack = self._sql.put, self._sql.claim, self._sql.ack  # made once: they are keys
        self._wakes = 0
        self._registered: Way | None = None

    def __repr__(self) -> str:
        return f"<SqliteQueue {self.name} in {self._host.name}>"

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids when they are safe; an id that is there is not put again."""
        way = self._host.way("put")
        rows = [item if type(item) is bytes else self._row(item) for item in items]
        if not rows:
            return []
        if way is not self._registered:
            await self._register(way)
        if not way.collects:
            ids: list[str] = await way.note(self._put, rows)
            return ids
        named = [_named(row) for row in rows]
        await way.note(self._put, named)
        return [row[2] for row in named]

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, without waiting for any."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        now, before = self._host.clock(), self._wakes
        claims: list[Claim] = await self._host.way("claim").answer("claim", self._claim, most, now, now + seconds)
        self._drained = len(claims) < most and self._wakes == before
        return claims

    async def extend(self, claim: Claim, lease: float) -> None:
        """Let the lease end ``lease`` seconds from now."""
        until = self._host.clock() + checked_span("lease", lease)
        await self._host.way("extend").note(self._sql.extend, held(claim), until)

    async def ack(self, *claims: Claim) -> None:
        """Forget the items; all of them or, with `modd.ports.LeaseLost`, none."""
        await self._host.way("ack").note(self._ack, [held(claim) for claim in claims])

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make the item ready again after ``delay`` seconds; it holds its key."""
        due = self._host.clock() + delay if checked_delay("delay", delay) else None
        await self._host.way("retry").note(self._sql.retry, held(claim), due)

    async def release(self, claim: Claim) -> None:
        """Make the item ready again as if it had not been claimed."""
        await self._host.way("release").note(self._sql.release, held(claim))

    async def bury(self, claim: Claim, reason: str) -> None:
        """Put the item aside, for people; its key is free."""
        await self._host.way("bury").note(self._sql.bury, held(claim), reason)

    async def cancel(self, *ids: str) -> list[str]:
        """Forget items that have not been claimed, and return the ids of those."""
        return await self._ids("cancel", self._sql.cancel, ids)

    async def redrive(self, *ids: str) -> list[str]:
        """Put buried items back, behind all others and with no attempts, and return the ids of those."""
        return await self._ids("redrive", self._sql.redrive, ids)

    async def discard(self, *ids: str) -> list[str]:
        """Forget buried items, and return the ids of those."""
        return await self._ids("discard", self._sql.discard, ids)

    async def stats(self) -> Stats:
        """How many items there are of each kind."""
        [counts] = await self._read(COUNTS)
        return Stats(*counts)

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """The buried items, those that were buried first at the front."""
        given = (self._sql.number, checked_count("limit", limit))
        rows = await self._host.way("dead").read(rows_of(BURIED, given))
        return [
            DeadLetter(self._sql.id_of(place, id), body, unpacked(headers), reason, attempts)
            for place, id, body, headers, reason, attempts in rows
        ]

    def committed(self) -> None:
        """Wake those who wait, if there may be more to claim since the last commit."""
        if self._sql.stirred:
            self._sql.stirred = False
            self._wakes += 1
            self.wake()

    async def is_claimable(self) -> bool:
        """Whether there is something that may be claimed."""
        [[any]] = await self._read(ANY)
        return bool(any)

    async def _read(self, sql: str) -> list[Any]:
        given = {"queue": self._sql.number, "now": self._host.clock()}
        return await self._host.way("read").read(rows_of(sql, given))

    async def _ids(self, what: str, operation: Any, ids: tuple[str, ...]) -> list[str]:
        found: list[str] = await self._host.way(what).answer(what, operation, ids)
        return found

    async def _register(self, way: Way) -> None:
        """Note the name in the file, once for each time that the store is opened."""
        await way.note(self._sql.register)
        if isinstance(way, Alone):
            self._registered = way

    def _row(self, item: Any) -> Call:
        if not isinstance(item, Item):  # named by its type alone: the content is shown to nobody
            raise InvalidOption("body", type(item), "give bytes; encode what you put")
        state = DELAYED if item.delay else READY if item.key is None else BEHIND
        due = self._host.clock() + item.delay if item.delay else None
        return state, due, item.id, item.key, packed(item.headers), item.body


def _named(row: bytes | Call) -> Call:
    """A row with an id that is known before it is written."""
    if isinstance(row, bytes):
        return READY, None, uuid4().hex, None, None, row
    return (*row[:2], uuid4().hex if row[2] is None else row[2], *row[3:])
