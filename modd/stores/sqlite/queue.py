"""A queue in the file."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from modd.checks import checked_choice, checked_count, checked_delay, checked_span, checked_text
from modd.ports.items import SUSPECTS, Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects
from modd.ports.queue import CreateDeliveries
from modd.stores.checks import checked_item_ids, checked_untagged
from modd.stores.lease import leased_row
from modd.stores.sqlite.base import Access, Autocommit, Claimable, Store
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.limits import LARGEST, LARGEST_VALUE, checked_item
from modd.stores.sqlite.outbox import SqliteOutbox
from modd.stores.sqlite.positions import Positions
from modd.stores.sqlite.queue_cancel import Cancellation
from modd.stores.sqlite.queue_operations import QueueOperations
from modd.stores.sqlite.queue_put import ItemRow
from modd.stores.sqlite.queue_sql import BLOCKED, COUNTS, DEAD_COLUMNS, DEAD_LETTERS, DELAYED, IS_CLAIMABLE, READY
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import decode_headers, encode_headers
from modd.stores.sqlite.subscriptions import HANDLERS, LEFT_NAMES, NAMES, SUBSCRIPTIONS, SubscriptionOperations
from modd.stores.waiting import SupportsWake
from modd.texts import encodable


class SqliteQueue(Claimable):
    """A `modd.ports.Queue` in the file of a `SqliteStore`: ``store.queue("orders")``.

    The time to put, to claim and to settle an item does not grow with the number of items.
    """

    notifies_only_claimable: ClassVar[bool] = True

    def __init__(
        self, store: Store, name: str, outbox: SqliteOutbox, positions: Positions, news: set[SupportsWake]
    ) -> None:
        super().__init__(store)
        self.name, self.outbox = name, outbox
        self._operations = operations = QueueOperations(name, positions, partial(news.add, self))
        self._subscriptions = SubscriptionOperations(operations)
        # bound once: the writer groups calls by operation, and each access would make another bound method
        self._put, self._claim, self._ack = operations.put, operations.claim, operations.ack
        self._register_and_put = operations.register_and_put
        self._cancellation = Cancellation(operations)
        self._wake_count = 0
        self._has_suspects = True
        """True if there may be suspects though the last claim left nothing."""
        self._left_names: list[Any] = []
        """The names of left items at the last look of `claim_left`."""
        self._registered: Access | None = None
        """The access by which a put has noted the name of the queue, once each time that the store is opened."""
        self._select_left_names = Select(LEFT_NAMES, {"queue": operations.number}, columns=NAMES)

    def __repr__(self) -> str:
        return f"<SqliteQueue {self.name} in {self._store.name}>"

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        """Add items, all or none, and return a result for each once they are safe; duplicates are dropped."""
        access = self._store.access("put")
        # a body that fits is told from the rest without a call, which would take a twentieth of the time of a put
        rows = [item if type(item) is bytes and len(item) <= LARGEST_VALUE else self._to_row(item) for item in items]
        if not rows:
            return []
        now = self._store.clock()
        if access is not self._registered:
            return await self._put_and_register(access, rows, now)
        results: list[PutResult] = await access.write(self._put, rows, now)
        return results

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

    async def announce(self, *subscriptions: Subscription, retention: float) -> None:
        """Note that these handlers were seen now; forget those that were not seen for ``retention`` seconds."""
        now = self._store.clock()
        expired, access = now - checked_delay("retention", retention), self._store.access("announce", at_once=True)
        await access.write(self._subscriptions.announce, subscriptions, now, expired)

    async def subscriptions(self) -> list[Subscription]:
        """Return the announced handlers, sorted by type, bus and name."""
        query = Select(SUBSCRIPTIONS, (self._operations.number,), columns=HANDLERS)
        return [Subscription(*row) for row in await self._store.access("subscriptions").read(query)]

    async def forget(self, handler: str) -> int:
        """Forget a handler, and delete its items that are not leased and not dead; return their number."""
        name, access = checked_text("handler", handler), self._store.access("forget")
        removed: int = await access.write_for_result("forget", self._subscriptions.forget, name)
        return removed

    async def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
        """Put the items that ``create`` makes of the announced handlers of these types, and delete the claimed one."""
        operation, access, now = self._subscriptions.fan_out, self._store.access("fan_out"), self._store.clock()
        count: int | None = await access.write_for_result("fan_out", operation, claim, types, create, self._to_row, now)
        return count

    async def leave(self, claim: Claim, name: str, retention: float) -> bool:
        """Leave the item to workers that claim items of this name; return False once ``retention`` is over."""
        seconds, row = checked_delay("retention", retention), leased_row(claim)
        access, now = self._store.access("leave"), self._store.clock()
        operation = self._subscriptions.leave
        is_left: bool = await access.write_for_result("leave", operation, row, checked_text("name", name), now, seconds)
        return is_left

    async def claim_left(self, names: Collection[str], limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items that were left under one of these names."""
        count, seconds = min(checked_count("limit", limit), LARGEST), checked_span("lease", lease)
        access = self._store.access("claim_left")
        left = await access.read(self._select_left_names)
        if left != self._left_names:
            self._left_names = left
            self.wake()  # tasks that wait may know other names
        if not any(name in names for [name] in left):  # most of the time; so nothing waits for the writer
            return []
        self._left_names = []
        now, operation = self._store.clock(), self._subscriptions.claim_left
        claims: list[Claim] = await access.write_for_result("claim_left", operation, names, count, now, now + seconds)
        return claims

    async def cancel(self, *ids: str) -> list[str]:
        """Delete items that were not claimed, and return their ids.

        In a transaction that defers its writes they are deleted by the commit; if the returned ids are not true any
        more then, it ends with `modd.ports.ReadConflict`.
        """
        access = self._store.access("cancel")
        if not access.is_deferred:
            return await self._write_ids("cancel", self._cancellation.cancel, ids)
        asked = [*dict.fromkeys(checked_item_ids(ids))]
        found = [id for id in asked for _ in await access.read(self._cancellation.select(id))]
        if asked:
            await access.write(self._cancellation.cancel_as_told, asked, found)
        return found

    async def redrive(self, *ids: str) -> list[str]:
        """Put dead letters back, behind all other items and without attempts, and return their ids."""
        return await self._write_ids("redrive", self._operations.redrive, ids, self._store.clock())

    async def discard(self, *ids: str) -> list[str]:
        """Delete dead letters, and return their ids."""
        return await self._write_ids("discard", self._operations.discard, ids)

    async def clear(self) -> int:
        """Delete all items in every state, and return their number."""
        number: int = await self._store.access("clear").write_for_result("clear", self._operations.clear)
        return number

    async def stats(self) -> Stats:
        """Return the number of items of each kind."""
        [counts] = await self._read(COUNTS)
        return Stats(*counts)

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """Return up to ``limit`` dead letters, in the order in which they were buried."""
        parameters = (self._operations.number, min(checked_count("limit", limit), LARGEST))
        rows = await self._store.access("dead").read(Select(DEAD_LETTERS, parameters, columns=DEAD_COLUMNS))
        with translate_errors(self._store.name):
            return [
                DeadLetter(self._operations.ids.id_of(position, id), body, decode_headers(headers), reason, attempts)
                for position, id, body, headers, reason, attempts in rows
            ]

    def wake(self) -> None:
        """Wake the tasks that wait, after a commit that may have left more to claim."""
        self._wake_count += 1
        super().wake()

    async def is_claimable(self, *, suspects: bool = True) -> bool:
        """True if there is an item that can be claimed now, or other processes have left items under other names.

        suspects: be it a suspect.
        """
        [[result]] = await self._read(IS_CLAIMABLE, suspects=suspects)
        return bool(result) or await self._store.access("read").read(self._select_left_names) != self._left_names

    async def _read(self, sql: str, **values: Any) -> list[Any]:
        parameters = {"queue": self._operations.number, "now": self._store.clock(), **values}
        return await self._store.access("read").read(Select(sql, parameters))

    async def _write_ids(self, call: str, operation: Any, ids: tuple[str, ...], *more: float) -> list[str]:
        access, checked = self._store.access(call), checked_item_ids(ids)
        changed: list[str] = await access.write_for_result(call, operation, checked, *more)
        return changed

    async def _put_and_register(self, access: Access, rows: list[bytes | ItemRow], now: float) -> list[PutResult]:
        """Put rows in a transaction, or as the first ones since the store was opened."""
        put = self._register_and_put
        if access.is_deferred:  # without a result before the commit, so that the ids are made here
            results = [_result_before_commit(row) for row in rows]
            await access.write(put, [_with_id(row, each.id) for row, each in zip(rows, results, strict=True)], now)
            return results
        outcome: list[PutResult] = await access.write(put, rows, now)
        if isinstance(access, Autocommit):
            self._registered = access
        return outcome

    def _to_row(self, item: Any) -> ItemRow:
        checked_untagged(checked_item(item))
        state = DELAYED if item.delay else READY if item.key is None else BLOCKED
        due = self._store.clock() + item.delay if item.delay else None
        only_unclaimed = item.unique == "until-started"
        return ItemRow(state, due, item.id, item.key, encode_headers(item.headers), item.body, only_unclaimed)


def _result_before_commit(row: bytes | ItemRow) -> PutResult:
    if isinstance(row, bytes) or row.id is None:
        return PutResult(uuid4().hex, False)
    return PutResult(row.id, None)


def _with_id(row: bytes | ItemRow, id: str) -> ItemRow:
    return ItemRow(READY, None, id, None, None, row) if isinstance(row, bytes) else row._replace(id=id)
