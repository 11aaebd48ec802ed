"""A queue in the file."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from modd.checks import checked_choice, checked_count, checked_delay, checked_span
from modd.errors import InvalidOption
from modd.ports.items import SUSPECTS, Claim, DeadLetter, Item, Stats, Suspects
from modd.stores.sqlite.base import Access, Autocommit, Claimable, Store
from modd.stores.sqlite.lease import leased_row
from modd.stores.sqlite.limits import LARGEST, checked_bytes, checked_item, checked_item_ids
from modd.stores.sqlite.outbox import SqliteOutbox
from modd.stores.sqlite.positions import Positions
from modd.stores.sqlite.queue_operations import ItemRow, QueueOperations
from modd.stores.sqlite.queue_sql import BLOCKED, COUNTS, DEAD_LETTERS, DELAYED, IS_CLAIMABLE, READY
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import decode_headers, encode_headers
from modd.texts import encodable


class SqliteQueue(Claimable):
    """A `modd.ports.Queue` in the file of a `SqliteStore`: ``store.queue("orders")``.

    The time to put, to claim and to settle an item does not grow with the number of items.
    """

    notifies_only_claimable: ClassVar[bool] = True

    def __init__(self, store: Store, name: str, outbox: SqliteOutbox, positions: Positions) -> None:
        super().__init__(store)
        self.name, self.outbox = name, outbox
        self._operations = operations = QueueOperations(name, positions)
        # bound once: the writer groups calls by operation, and each access would make another bound method
        self._put, self._claim, self._ack = operations.put, operations.claim, operations.ack
        self._wake_count = 0
        self._has_suspects = True
        """True if there may be suspects though the last claim left nothing."""
        self._registered: Access | None = None

    def __repr__(self) -> str:
        return f"<SqliteQueue {self.name} in {self._store.name}>"

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids once they are safe; an id that the queue has is skipped."""
        access = self._store.access("put")
        rows = [checked_bytes("body", item) if type(item) is bytes else self._to_row(item) for item in items]
        if not rows:
            return []
        if access is not self._registered:
            await self._register(access)
        if not access.is_deferred:
            ids: list[str] = await access.write(self._put, rows, self._store.clock())
            return ids
        # a deferred write has no result, so that the ids are made before it
        ids = [uuid4().hex if isinstance(row, bytes) or row.id is None else row.id for row in rows]
        rows = [_with_id(row, id) for row, id in zip(rows, ids, strict=True)]
        await access.write(self._put, rows, self._store.clock())
        return ids

    async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, or one suspect, without waiting for any."""
        count, seconds = min(checked_count("limit", limit), LARGEST), checked_span("lease", lease)
        checked_choice("suspects", suspects, SUSPECTS)
        now, wake_count = self._store.clock(), self._wake_count
        access = self._store.access("claim")
        claims: list[Claim] = await access.write_for_result("claim", self._claim, count, now, now + seconds, suspects)
        self._is_drained = len(claims) < count and self._wake_count == wake_count
        self._has_suspects = suspects == "none"
        if any(claim.suspect for claim in claims):
            self._is_drained = False
        return claims

    async def wait(self, seconds: float, *, suspects: bool = True) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``; suspects: be it a suspect."""
        is_empty = self._is_drained and not (suspects and self._has_suspects)
        await self._wait(seconds, partial(self.is_claimable, suspects=suspects), is_empty=is_empty)

    async def extend(self, claim: Claim, lease: float) -> None:
        """Extend the lease to ``lease`` seconds from now."""
        until = self._store.clock() + checked_span("lease", lease)
        await self._store.access("extend").write(self._operations.extend, leased_row(claim), until)

    async def ack(self, *claims: Claim) -> None:
        """Delete the items: all of them or, with `modd.ports.LeaseLost`, none."""
        await self._store.access("ack").write(self._ack, [leased_row(claim) for claim in claims])

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make the item claimable again after ``delay`` seconds; it keeps its key meanwhile."""
        due = self._store.clock() + checked_delay("delay", delay)
        await self._store.access("retry").write(self._operations.retry, leased_row(claim), due, not delay)

    async def release(self, claim: Claim) -> None:
        """Make the item claimable again as if it had not been claimed."""
        await self._store.access("release").write(self._operations.release, leased_row(claim), self._store.clock())

    async def bury(self, claim: Claim, reason: str) -> None:
        """Make the item a dead letter; its key is free."""
        await self._store.access("bury").write(self._operations.bury, leased_row(claim), encodable(reason))

    async def cancel(self, *ids: str) -> list[str]:
        """Delete items that were not claimed, and return their ids."""
        return await self._write_ids("cancel", self._operations.cancel, ids)

    async def redrive(self, *ids: str) -> list[str]:
        """Put dead letters back, behind all other items and without attempts, and return their ids."""
        return await self._write_ids("redrive", self._operations.redrive, ids, self._store.clock())

    async def discard(self, *ids: str) -> list[str]:
        """Delete dead letters, and return their ids."""
        return await self._write_ids("discard", self._operations.discard, ids)

    async def stats(self) -> Stats:
        """Return the number of items of each kind."""
        [counts] = await self._read(COUNTS)
        return Stats(*counts)

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """Return up to ``limit`` dead letters, in the order in which they were buried."""
        parameters = (self._operations.number, min(checked_count("limit", limit), LARGEST))
        rows = await self._store.access("dead").read(Select(DEAD_LETTERS, parameters))
        return [
            DeadLetter(self._operations.ids.id_of(position, id), body, decode_headers(headers), reason, attempts)
            for position, id, body, headers, reason, attempts in rows
        ]

    def wake_if_claimable(self) -> None:
        """Wake the tasks that wait, if the last commit may have left more to claim; called after each commit."""
        if self._operations.has_news:
            self._operations.has_news = False
            self._wake_count += 1
            self.wake()

    async def is_claimable(self, *, suspects: bool = True) -> bool:
        """True if there is an item that can be claimed now; suspects: be it a suspect."""
        [[result]] = await self._read(IS_CLAIMABLE, suspects=suspects)
        return bool(result)

    async def _read(self, sql: str, **values: Any) -> list[Any]:
        parameters = {"queue": self._operations.number, "now": self._store.clock(), **values}
        return await self._store.access("read").read(Select(sql, parameters))

    async def _write_ids(self, call: str, operation: Any, ids: tuple[str, ...], *more: float) -> list[str]:
        access, checked = self._store.access(call), checked_item_ids(ids)
        changed: list[str] = await access.write_for_result(call, operation, checked, *more)
        return changed

    async def _register(self, access: Access) -> None:
        """Note the name of the queue in the file, once each time that the store is opened."""
        await access.write(self._operations.register)
        if isinstance(access, Autocommit):
            self._registered = access

    def _to_row(self, item: Any) -> ItemRow:
        if not isinstance(item, Item):  # the error shows the type alone, because a body is confidential
            raise InvalidOption("body", type(item), "give bytes; encode what you put")
        checked_item(item)
        state = DELAYED if item.delay else READY if item.key is None else BLOCKED
        due = self._store.clock() + item.delay if item.delay else None
        return ItemRow(state, due, item.id, item.key, encode_headers(item.headers), item.body)


def _with_id(row: bytes | ItemRow, id: str) -> ItemRow:
    return ItemRow(READY, None, id, None, None, row) if isinstance(row, bytes) else row._replace(id=id)
