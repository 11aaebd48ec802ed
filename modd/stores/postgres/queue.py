"""A queue in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from math import inf
from typing import Any
from uuid import uuid4

from psycopg.errors import UniqueViolation

from modd.checks import checked_choice, checked_count, checked_delay, checked_span, checked_text
from modd.ports.items import SUSPECTS, Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects
from modd.ports.outbox import Outbox
from modd.ports.queue import CreateDeliveries
from modd.stores.checks import checked_item_ids
from modd.stores.item_ids import id_at, queue_number
from modd.stores.lease import LARGEST, leased_row
from modd.stores.postgres.advisory import LockNames
from modd.stores.postgres.base import NOW, Access, PostgresAutocommit, Store, WaitingPart
from modd.stores.postgres.commits import ATTEMPTS
from modd.stores.postgres.item_ids import StoreNonce
from modd.stores.postgres.lease import keys_of
from modd.stores.postgres.queue_cancel import CancelOperations
from modd.stores.postgres.queue_operations import QueueOperations
from modd.stores.postgres.queue_put import NewItem, SessionQueue, bytes_of, locks_of, new_item
from modd.stores.postgres.queue_sql import COUNTS, DEAD_LETTERS, NEXT
from modd.stores.postgres.select import Select
from modd.stores.postgres.subscriptions import LEFT_NAMES, SUBSCRIPTIONS, HandlerOperations, subscriptions_of
from modd.stores.postgres.values import decode_headers, decode_text, encode_texts
from modd.texts import encodable

LARGEST_GROUPED = 16_384
"""Most bytes of a put that is committed with others, so that no statement is large."""


BUSY_PAUSE = 0.02
"""Seconds until the next look after a claim that found nothing though there is something: others have it in hand."""


class PostgresQueue(WaitingPart):
    """A `modd.ports.Queue` in the database of a `PostgresStore`: ``store.queue("orders")``.

    The time to put, to claim and to settle an item does not grow with the number of items, and no claim waits for
    another one.
    """

    def __init__(self, store: Store, name: str, outbox: Outbox | None, nonce: StoreNonce) -> None:
        super().__init__(store, f"queue {queue_number(name):x}")
        self.name, self.outbox = name, outbox
        self._nonce = nonce
        self._operations = QueueOperations(name, nonce, self.channel)
        self._handlers = HandlerOperations(self._operations)
        self._cancellation = CancelOperations(self._operations)
        self._is_registered = False
        """True if a put has noted the name of the queue."""
        self._wake_count = 0
        self._is_busy = False
        """True if the last claim has found nothing, and nobody was woken since."""
        self._left_names: set[bytes] = set()
        """The names of left items at the last look of `claim_left`."""

    def __repr__(self) -> str:
        return f"<PostgresQueue {self.name} in {self._store.name}>"

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        """Add items, all or none, and return a result for each once they are safe; duplicates are dropped."""
        rows, access = [new_item(item) for item in items], self._store.access("put")
        if not rows:
            return []
        if access.is_deferred:  # without a result before the commit, so that the ids are made here
            results = [PutResult(uuid4().hex, False) if row.id is None else PutResult(row.id, None) for row in rows]
            rows = [row._replace(id=result.id) for row, result in zip(rows, results, strict=True)]
            await access.write(self._operations.register_and_put, rows)
            return results
        return await self._put_now(access, rows)

    def using(self, session: object) -> SessionQueue:
        """Return the queue in a transaction that you have open in your session; see `PostgresOutbox.using`.

        Put late in the transaction: until its end, others that put items with the same key or id wait, and so do
        workers that settle an item of the key.
        """
        return SessionQueue(self._store.access_in(session), self._operations.put, self._register)

    async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, or one suspect, without waiting for any."""
        count, seconds = min(checked_count("limit", limit), LARGEST), checked_span("lease", lease)
        checked_choice("suspects", suspects, SUSPECTS)
        access, wake_count = self._store.access("claim"), self._wake_count
        claim = partial(access.write_for_result, "claim", self._operations.claim, count, seconds, suspects)
        claims: list[Claim] = await repeat_unless_unique(claim)
        self._is_busy = not claims and self._wake_count == wake_count
        return claims

    async def wait(self, seconds: float, *, suspects: bool = True) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``; suspects: be it a suspect."""
        await self._wait(seconds, partial(self._look, suspects=suspects))

    async def extend(self, claim: Claim, lease: float) -> None:
        """Extend the lease to ``lease`` seconds from now."""
        seconds = checked_span("lease", lease)
        await self._store.access("extend").write(self._operations.extend, leased_row(claim), seconds)

    async def ack(self, *claims: Claim) -> None:
        """Delete the items: all of them or, with `modd.ports.LeaseLost`, none."""
        rows, access = [leased_row(claim) for claim in claims], self._store.access("ack")
        if rows:
            locks = LockNames(self._operations.number, keys_of(rows))
            await access.write_rows(self._operations.ack, rows, locks, [row.position for row in rows])

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make the item claimable again after ``delay`` seconds; it keeps its key meanwhile."""
        seconds = checked_delay("delay", delay)
        await self._store.access("retry").write(self._operations.retry, leased_row(claim), seconds)

    async def release(self, claim: Claim) -> None:
        """Make the item claimable again as if it had not been claimed."""
        await self._store.access("release").write(self._operations.release, leased_row(claim))

    async def bury(self, claim: Claim, reason: str) -> None:
        """Make the item a dead letter; its key is free."""
        await self._store.access("bury").write(self._operations.bury, leased_row(claim), encodable(reason))

    async def announce(self, *subscriptions: Subscription, retention: float) -> None:
        """Note that these handlers were seen now; forget those that were not seen for ``retention`` seconds."""
        seconds, access = checked_delay("retention", retention), self._store.access("announce", at_once=True)
        await access.write(self._handlers.announce, subscriptions, seconds)

    async def subscriptions(self) -> list[Subscription]:
        """Return the announced handlers, sorted by type, bus and name."""
        query = Select(SUBSCRIPTIONS, (self._operations.number,), title=f"{self.name}.subscriptions()")
        return subscriptions_of(await self._store.access("subscriptions").read(query))

    async def forget(self, handler: str) -> int:
        """Forget a handler, and delete its items that are not leased and not dead; return their number."""
        name, access = checked_text("handler", handler), self._store.access("forget")
        removed: int = await access.write_for_result("forget", self._handlers.forget, name)
        return removed

    async def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
        """Put the items that ``create`` makes of the announced handlers of these types, and delete the claimed one."""
        operation, access = self._handlers.fan_out, self._store.access("fan_out")
        count: int | None = await access.write_for_result("fan_out", operation, claim, types, create)
        return count

    async def leave(self, claim: Claim, name: str, retention: float) -> bool:
        """Leave the item to workers that claim items of this name; return False once ``retention`` is over."""
        seconds, row, access = checked_delay("retention", retention), leased_row(claim), self._store.access("leave")
        arguments = row, checked_text("name", name), seconds
        is_left: bool = await access.write_for_result("leave", self._handlers.leave, *arguments)
        return is_left

    async def claim_left(self, names: Collection[str], limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items that were left under one of these names."""
        count, seconds = min(checked_count("limit", limit), LARGEST), checked_span("lease", lease)
        access = self._store.access("claim_left")
        left = await self._read_left_names(access)
        if left != self._left_names:
            self._left_names = left
            self.wake()  # tasks that wait may know other names
        wanted = left.intersection(encode_texts(names))
        if not wanted:  # most of the time; so nothing is written
            return []
        self._left_names = set()
        arguments = [*map(decode_text, wanted)], count, seconds
        claims: list[Claim] = await access.write_for_result("claim_left", self._handlers.claim_left, *arguments)
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
        return await self._write_ids("redrive", self._operations.redrive, ids)

    async def discard(self, *ids: str) -> list[str]:
        """Delete dead letters, and return their ids."""
        return await self._write_ids("discard", self._operations.discard, ids)

    async def clear(self) -> int:
        """Delete all items in every state, and return their number."""
        number: int = await self._store.access("clear").write_for_result("clear", self._operations.clear)
        return number

    async def stats(self) -> Stats:
        """Return the number of items of each kind."""
        [[now]] = await self._store.access("stats", at_once=True).read(Select(f"SELECT {NOW}"))
        number = self._operations.number
        parameters = (now, number, number, number, number)
        [counts] = await self._store.access("stats").read(Select(COUNTS, parameters, title=f"{self.name}.stats()"))
        return Stats(*counts)

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """Return up to ``limit`` dead letters, in the order in which they were buried."""
        parameters = (self._operations.number, min(checked_count("limit", limit), LARGEST))
        query = Select(DEAD_LETTERS, parameters, title=f"{self.name}.dead()")
        return [
            DeadLetter(
                id_at(self._nonce(), place) if id is None else decode_text(id),
                body,
                decode_headers(headers),
                decode_text(reason),
                attempts,
            )
            for place, id, body, headers, reason, attempts in await self._store.access("dead").read(query)
        ]

    def wake(self) -> None:
        """Wake the tasks that wait, after a commit that may have left more to claim."""
        self._wake_count += 1
        self._is_busy = False
        super().wake()

    async def seconds_left(self, *, suspects: bool = True) -> float:
        """Return the seconds until there may be an item to claim: 0 if there is now, infinity for nobody knows.

        suspects: be it a suspect. It is 0, too, if items were left under other names.
        """
        number, access = self._operations.number, self._store.access("wait", at_once=True)
        [[left]] = await access.read(Select(NEXT, (number, number, number, suspects, number)))
        if left is not None and left <= 0:
            return 0.0
        if await self._read_left_names(access) != self._left_names:
            return 0.0
        return inf if left is None else float(left)

    async def _look(self, *, suspects: bool) -> float:
        left = await self.seconds_left(suspects=suspects)
        is_busy, self._is_busy = self._is_busy, False
        return BUSY_PAUSE if is_busy and left <= 0 else left

    async def _read_left_names(self, access: Access) -> set[bytes]:
        number = self._operations.number
        return {name for [name] in await access.read(Select(LEFT_NAMES, (number, number)))}

    async def _put_now(self, access: Access, rows: list[NewItem]) -> list[PutResult]:
        if self._is_registered and sum(map(bytes_of, rows)) <= LARGEST_GROUPED:
            grouped: list[PutResult] = await access.write_rows(
                self._operations.put, rows, locks_of(self._operations.number, rows)
            )
            return grouped
        operation = self._operations.put if self._is_registered else self._operations.register_and_put
        results: list[PutResult] = await access.write(operation, rows)
        self._is_registered = self._is_registered or isinstance(access, PostgresAutocommit)
        return results

    async def _register(self) -> None:
        access = self._store.access("put", at_once=True)
        if not self._is_registered:
            await access.write(self._operations.register)
            self._is_registered = isinstance(access, PostgresAutocommit)

    async def _write_ids(self, call: str, operation: Any, ids: tuple[str, ...]) -> list[str]:
        access, checked = self._store.access(call), [*dict.fromkeys(checked_item_ids(ids))]
        changed: list[str] = await access.write_for_result(call, operation, checked)
        return changed


async def repeat_unless_unique(claim: Callable[[], Any]) -> list[Claim]:
    """Claim again if another transaction has made another head of a lane meanwhile; return nothing in the end."""
    for _ in range(ATTEMPTS):
        try:
            claims: list[Claim] = await claim()
        except UniqueViolation:
            continue
        return claims
    return []
