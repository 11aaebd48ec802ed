"""A queue on a NATS server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec

from modd.checks import checked_choice, checked_count, checked_delay, checked_span, checked_text
from modd.ports.items import SUSPECTS, Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects
from modd.ports.queue import CreateDeliveries
from modd.stores.checks import checked_untagged
from modd.stores.nats.access import NatsAutocommit, NatsPart, NatsParts, Operation
from modd.stores.nats.errors import WrongSequence
from modd.stores.nats.outbox import NatsOutbox
from modd.stores.nats.queue_claims import QueueClaims
from modd.stores.nats.queue_known import FirstTime
from modd.stores.nats.queue_operations import NatsQueueOperations
from modd.stores.nats.queue_records import QueueSubjects
from modd.stores.nats.queue_view import QueueView
from modd.stores.nats.record import Write

REMOVED_AT_ONCE = 500
"""Items that are removed at a time where many are; a server stores 1 000 messages at once by default."""


class NatsQueue(NatsPart):
    """A `modd.ports.Queue` of a `NatsStore`: ``store.queue("orders")``.

    A process that claims has an index of all items of the queue in its memory, with bodies of up to 8 KiB. A queue is
    for up to 1 000 000 waiting items.
    """

    def __init__(self, store: NatsParts, name: str, outbox: NatsOutbox) -> None:
        super().__init__(store)
        self.name, self.outbox = name, outbox
        self._subjects = subjects = QueueSubjects(store.subjects, name)
        self._has_label = False
        self._view = QueueView(store, subjects)
        self._operations = NatsQueueOperations(subjects, store.clock, self._view)
        self._claims = QueueClaims(store, self._view, self.release)

    def __repr__(self) -> str:
        return f"<NatsQueue {self.name} in {self._store!r}>"

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        """Add items, all or none, and return a result for each; an id that the queue has is not added again.

        Raises:
            InvalidOption: an item has tags, or is too large for the server.
            TooMany: there are more items than the server stores at once.
            UnknownOutcome: the server did not answer in time; put the same ids again.
        """
        checked = [checked_untagged(item) if isinstance(item, Item) else Item(item) for item in items]
        put = [item if item.id is not None else msgspec.structs.replace(item, id=uuid4().hex) for item in checked]
        access = self._store.access("put")
        await self._write_label()
        if all(item.id is None for item in checked):
            await access.write(self._operations.put_fresh, put)
            return [PutResult(str(item.id), False) for item in put]
        is_first = FirstTime(access.is_deferred or isinstance(access, NatsAutocommit))
        results: list[PutResult] | None = await access.write(self._operations.put, put, is_first)
        if results is not None:
            return results
        known = [None if item.id is not None else False for item in checked]  # else the commit decides
        return [PutResult(str(item.id), duplicate) for item, duplicate in zip(put, known, strict=True)]

    async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, or one suspect, without waiting for any."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        checked_choice("suspects", suspects, SUSPECTS)
        return await self._claim("claim", most, seconds, suspects)

    async def extend(self, claim: Claim, lease: float) -> None:
        """Let the lease of a claim end ``lease`` seconds from now."""
        await self._change("extend", [claim], checked_span("lease", lease))

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims: remove their items, all or, with `LeaseLost`, none."""
        access = await self._timed_access("ack")
        await access.write(self._operations.ack, claims, FirstTime())

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make the item ready again after ``delay`` seconds; it keeps its key."""
        await self._change("retry", [claim], checked_delay("delay", delay))

    async def release(self, claim: Claim) -> None:
        """Make the item ready again at once; the attempt does not count."""
        await self._change("release", [claim])

    async def bury(self, claim: Claim, reason: str) -> None:
        """Make the item a dead letter; its key is free."""
        await self._change("bury", [claim], reason)

    async def announce(self, *subscriptions: Subscription, retention: float) -> None:
        """Note that these handlers were seen now; forget those that were not seen for ``retention`` seconds."""
        seconds = checked_delay("retention", retention)
        access = await self._timed_access("announce", at_once=True)
        await self._write_label()
        await access.write(self._operations.announce, subscriptions, seconds)

    async def subscriptions(self) -> list[Subscription]:
        """Return the announced handlers, sorted by type, bus and name."""
        access = self._store.access("subscriptions")
        found: list[Subscription] = await access.read("the announced handlers", self._operations.subscriptions)
        return found

    async def forget(self, handler: str) -> int:
        """Forget a handler, and remove its items that are not leased and not dead; return their number.

        Outside of transactions 500 items are removed at a time, each of these all or none.
        """
        return await self._remove("forget", handler, partial(self._operations.forget, handler=handler))

    async def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
        """Put the items that ``create`` makes of the announced handlers of these types, and acknowledge the claim."""
        access = await self._timed_access("fan_out")
        number: int | None = await access.write_for_result(
            "fan_out", self._operations.fan_out, claim, types, create, FirstTime()
        )
        return number

    async def leave(self, claim: Claim, name: str, retention: float) -> bool:
        """Leave the item to workers that claim items of this name; return False once ``retention`` is over."""
        seconds, name = checked_delay("retention", retention), checked_text("name", name)
        access = await self._timed_access("leave")
        is_left: bool = await access.write_for_result(
            "leave", self._operations.change, "leave", [claim], FirstTime(), name, seconds
        )
        return is_left

    async def claim_left(self, names: Collection[str], limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items that were left under one of these names."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        return await self._claim("claim_left", most, seconds, names)

    async def cancel(self, *ids: str) -> list[str]:
        """Remove items without attempts, and return the ids of the removed items.

        In a transaction that defers its writes they are removed by the commit; if the returned ids are not true any
        more then, it ends with `modd.ports.ReadConflict`.
        """
        access = await self._timed_access("cancel")
        if not access.is_deferred:
            removed: list[str] = await access.write(self._operations.change_ids, "cancel", ids)
            return removed
        found: list[str] = await access.read("the items to cancel", self._operations.cancellable, ids)
        await access.write(self._operations.cancel_as_told, ids, found)
        return found

    async def stats(self) -> Stats:
        """Count the items of each kind."""
        access = await self._timed_access("stats")
        stats: Stats = await access.read("the number of items", self._operations.stats)
        return stats

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """Return the first dead letters, in the order in which they were buried."""
        most, access = checked_count("limit", limit), await self._timed_access("dead")
        found: list[DeadLetter] = await access.read("the dead letters", self._operations.dead, most)
        return found

    async def redrive(self, *ids: str) -> list[str]:
        """Put dead letters back at the end of the queue, with no attempts, and return the ids of these."""
        return await self._change_ids("redrive", ids)

    async def discard(self, *ids: str) -> list[str]:
        """Remove dead letters, and return the ids of the removed ones."""
        return await self._change_ids("discard", ids)

    async def clear(self) -> int:
        """Remove all items in every state, and return their number.

        Outside of transactions 500 items are removed at a time, each of these all or none.
        """
        return await self._remove("clear", None, self._operations.clear)

    async def wait(self, seconds: float, *, suspects: bool = True) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``; suspects: be it a suspect."""
        leaves: int | None = None

        async def look() -> bool:
            nonlocal leaves
            await self._timed_access("wait")
            await self._view.ready()
            leaves = self._view.leaves if leaves is None else leaves
            return self._view.has_claimable(suspects, leaves)

        await self._view.notifier.wait(seconds, look, self._view.next_due)

    async def _write_label(self) -> None:
        """Store the name of the queue, for the command line: subjects only have its hash."""
        if self._has_label:
            return
        with suppress(WrongSequence):
            await self._store.stream.commit([Write(self._subjects.label, {"queue": self.name}, expected=0)])
        self._has_label = True

    async def _claim(self, call: str, limit: int, *arguments: Any) -> list[Claim]:
        """Run a method of `QueueState` that claims."""
        access = await self._timed_access(call)
        if isinstance(access, NatsAutocommit):
            return await self._claims.claim(call, limit, arguments)
        claims: list[Claim] = await access.write_for_result(call, self._operations.claim, call, limit, arguments)
        return claims

    async def _change(self, call: str, claims: Sequence[Claim], *arguments: Any) -> None:
        """Run a method of `QueueState` on the items of claims."""
        access = await self._timed_access(call)
        await access.write(self._operations.change, call, claims, FirstTime(), *arguments)

    async def _remove(self, call: str, handler: str | None, operation: Operation) -> int:
        """Remove the items of a handler, or all; the operation has names of items as its last argument."""
        access = await self._timed_access(call)
        if not isinstance(access, NatsAutocommit):
            number: int = await access.write_for_result(call, partial(operation, names=None))
            return number
        names: list[str] = await access.read("the items to remove", self._operations.names_of, handler)
        parts = [names[first : first + REMOVED_AT_ONCE] for first in range(0, len(names), REMOVED_AT_ONCE)] or [[]]
        return sum([await access.write(partial(operation, names=part)) for part in parts])

    async def _change_ids(self, call: str, ids: Sequence[str]) -> list[str]:
        """Run a method of `QueueState` on the items of ids, and return those of the items that it has changed."""
        access = await self._timed_access(call)
        changed: list[str] = await access.write_for_result(call, self._operations.change_ids, call, ids)
        return changed
