"""A queue in the memory of this process."""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from uuid import uuid4

import msgspec

from modd.checks import checked_choice, checked_count, checked_delay, checked_span, checked_text
from modd.concurrency.loops import loop_time_of
from modd.ports.items import SUSPECTS, Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects
from modd.ports.queue import CreateDeliveries
from modd.stores.checks import checked_untagged
from modd.stores.memory.access import Alone, MemoryOwner
from modd.stores.queue_state.state import QueueState
from modd.stores.waiting import Notifier


class MemoryQueue:
    """A `modd.ports.Queue` of this process, for tests and for work that may be lost when the process ends.

    Claiming and settling an item costs O(log n) in the number of items.

    owner: the `MemoryStore` that it is a part of; None, the default, for a queue alone.
    """

    def __init__(self, owner: MemoryOwner | None = None) -> None:
        self._owner = owner or Alone()
        self._notifier = Notifier()
        self._state = QueueState(self._owner.undo_log, self._notifier)

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        """Add items, all or none, and return a result for each; an id that the queue has is not added again."""
        checked = [checked_untagged(item) if isinstance(item, Item) else Item(item) for item in items]
        access = self._owner.access("put")
        if not access.is_deferred:
            results: list[PutResult] = await access.write(self._state.put, checked)
            return results
        put = [item if item.id is not None else msgspec.structs.replace(item, id=uuid4().hex) for item in checked]
        await access.write(self._state.put, put)
        known = [None if item.id is not None else False for item in checked]  # else the commit decides
        return [PutResult(str(item.id), duplicate) for item, duplicate in zip(put, known, strict=True)]

    async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, or one suspect, without waiting for any."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        checked_choice("suspects", suspects, SUSPECTS)
        return await self._owner.access("claim").write_for_result("claim", self._state.claim, most, seconds, suspects)

    async def extend(self, claim: Claim, lease: float) -> None:
        """Let the lease of a claim end ``lease`` seconds from now."""
        await self._owner.access("extend").write(self._state.extend, claim, checked_span("lease", lease))

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims: remove their items, all or, with `LeaseLost`, none."""
        await self._owner.access("ack").write(self._state.ack, *claims)

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make the item ready again after ``delay`` seconds; it keeps its key."""
        await self._owner.access("retry").write(self._state.retry, claim, checked_delay("delay", delay))

    async def release(self, claim: Claim) -> None:
        """Make the item ready again at once; the attempt does not count."""
        await self._owner.access("release").write(self._state.release, claim)

    async def bury(self, claim: Claim, reason: str) -> None:
        """Make the item a dead letter; its key is free."""
        await self._owner.access("bury").write(self._state.bury, claim, reason)

    async def announce(self, *subscriptions: Subscription, retention: float) -> None:
        """Note that these handlers were seen now; forget those that were not seen for ``retention`` seconds."""
        seconds = checked_delay("retention", retention)
        await self._owner.access("announce", at_once=True).write(self._state.announce, subscriptions, seconds)

    async def subscriptions(self) -> list[Subscription]:
        """Return the announced handlers, sorted by type, bus and name."""
        return await self._owner.access("subscriptions").read("the announced handlers", self._state.subscriptions)

    async def forget(self, handler: str) -> int:
        """Forget a handler, and remove its items that are not leased and not dead; return their number."""
        return await self._owner.access("forget").write_for_result("forget", self._state.forget, handler)

    async def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
        """Put the items that ``create`` makes of the announced handlers of these types, and acknowledge the claim."""
        access = self._owner.access("fan_out")
        return await access.write_for_result("fan_out", self._state.fan_out, claim, types, create)

    async def leave(self, claim: Claim, name: str, retention: float) -> bool:
        """Leave the item to workers that claim items of this name; return False once ``retention`` is over."""
        seconds, name = checked_delay("retention", retention), checked_text("name", name)
        return await self._owner.access("leave").write_for_result("leave", self._state.leave, claim, name, seconds)

    async def claim_left(self, names: Collection[str], limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items that were left under one of these names."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        access = self._owner.access("claim_left")
        return await access.write_for_result("claim_left", self._state.claim_left, names, most, seconds)

    async def cancel(self, *ids: str) -> list[str]:
        """Remove items without attempts, and return the ids of the removed items.

        In a transaction that defers its writes they are removed by the commit; if the returned ids are not true any
        more then, it ends with `modd.ports.ReadConflict`.
        """
        access = self._owner.access("cancel")
        if not access.is_deferred:
            removed: list[str] = await access.write(self._state.cancel, ids)
            return removed
        found = await access.read("the items to cancel", self._state.cancellable, ids)
        await access.write(self._state.cancel_as_told, ids, found)
        return found

    async def stats(self) -> Stats:
        """Count the items of each kind."""
        return await self._owner.access("stats").read("the number of items", self._state.stats)

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """Return the first dead letters, in the order in which they were buried."""
        most = checked_count("limit", limit)
        return await self._owner.access("dead").read("the dead letters", self._state.dead, most)

    async def redrive(self, *ids: str) -> list[str]:
        """Put dead letters back at the end of the queue, with no attempts, and return the ids of these."""
        return await self._owner.access("redrive").write_for_result("redrive", self._state.redrive, ids)

    async def discard(self, *ids: str) -> list[str]:
        """Remove dead letters, and return the ids of the removed ones."""
        return await self._owner.access("discard").write_for_result("discard", self._state.discard, ids)

    async def clear(self) -> int:
        """Remove all items in every state, and return their number."""
        return await self._owner.access("clear").write_for_result("clear", self._state.clear)

    async def wait(self, seconds: float, *, suspects: bool = True) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``; suspects: be it a suspect."""
        state, leaves, next_due = self._state, self._state.leaves, inf

        async def look() -> bool:
            nonlocal next_due
            access, version = self._owner.access("wait"), state.has_claimable
            found, next_due = await access.read("the items", state.look, suspects, leaves, version=version)
            return found

        await self._notifier.wait(seconds, look, lambda: loop_time_of(next_due))
