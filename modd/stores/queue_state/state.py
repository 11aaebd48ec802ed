"""The items of a queue and the rules by which they change, for stores that have them in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import count, islice
from time import time
from uuid import uuid4

from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.loops import steady_time
from modd.ports.errors import LeaseLost, ReadConflict
from modd.ports.items import HANDLER, Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects
from modd.ports.queue import CreateDeliveries
from modd.stores.checks import checked_untagged
from modd.stores.queue_state.lanes import QueueItem
from modd.stores.queue_state.places import Places
from modd.stores.queue_state.subscriptions import Announcements
from modd.stores.undo_log import UndoLog
from modd.stores.waiting import Notifier


class QueueState:
    """The items of a queue. Each call is done whole or, if it raises, not at all; none waits.

    undo_log: notes the state of each item before it is changed, if a transaction is open.
    notifier: wakes the tasks that wait for items.
    clock: returns the seconds by which leases and delays are measured; the steady time by default.
    wall_clock: returns seconds since 1970, for the times at which handlers were seen.
    has_ids: False for a queue in which no items are put, and none are found by their ids.
    """

    def __init__(
        self,
        undo_log: UndoLog,
        notifier: Notifier,
        clock: Callable[[], float] = steady_time,
        wall_clock: Callable[[], float] = time,
        has_ids: bool = True,
    ) -> None:
        self._undo_log, self._notifier, self._clock = undo_log, notifier, clock
        self.places, self.announced = Places(has_ids), Announcements(clock, wall_clock)
        self.leaves = 0
        """Number of items that were left, ever."""
        self._positions, self._burials = count(), count()

    def put(self, items: Sequence[Item]) -> list[PutResult]:
        """Add items, and return a result for each."""
        return [self._put(item) for item in items]

    def claim(self, limit: int, seconds: float, suspects: Suspects) -> list[Claim]:
        """Lease items, or one suspect."""
        until = self._update_due() + seconds
        if suspects == "first" and self.places.suspects:
            return self._claim_suspect(until)
        claims: list[Claim] = []
        while len(claims) < limit and (first := self.places.ready.first()) is not None:
            claims.append(self._lease(self.places.items[first], until))
        return self._claim_suspect(until) if suspects == "last" and not claims else claims

    def extend(self, claim: Claim, seconds: float) -> None:
        """Let the lease of a claim end so many seconds from now."""
        [item] = self._claimed_items(claim)
        self.places.withdraw(item)
        self.places.leased.put(item.id, self._clock() + seconds)
        self._notifier.notify()

    def ack(self, *claims: Claim) -> None:
        """Remove the items of claims."""
        for item in self._claimed_items(*claims):
            self.places.forget(item)
        self._notifier.notify()

    def retry(self, claim: Claim, seconds: float) -> None:
        """Make the item ready again after so many seconds."""
        item = self._settle(claim)
        item.left_at = None
        self._add(item, seconds)

    def release(self, claim: Claim) -> None:
        """Make the item ready again at once; the attempt does not count."""
        item = self._settle(claim)
        if claim.suspect:
            self.places.suspects.put(item.id, -self._clock(), -item.position)
        else:
            self._release(item)
        self._notifier.notify()

    def bury(self, claim: Claim, reason: str) -> None:
        """Make the item a dead letter."""
        item = self._settle(claim)
        self.places.ready.free_key(item)
        item.reason, item.buried = reason, next(self._burials)
        self.places.dead[item.id] = item
        self._notifier.notify()

    def announce(self, subscriptions: Sequence[Subscription], retention: float) -> None:
        """Note that these handlers were seen now."""
        self._undo_log.keep(self.announced.times, self.announced.restore, None)
        self.announced.add(subscriptions, retention)

    def subscriptions(self) -> list[Subscription]:
        """Return the announced handlers."""
        return self.announced.find()

    def forget(self, handler: str) -> int:
        """Forget a handler, and remove its items that are not leased and not dead; return their number."""
        self._update_due()
        self._undo_log.keep(self.announced.times, self.announced.restore, None)
        self.announced.forget(handler)
        items = [item for item in self.places.items.values() if item.headers.get(HANDLER) == handler]
        removed = [item for item in items if item.id not in self.places.leased and item.id not in self.places.dead]
        for item in removed:
            self._note(item)
            self.places.forget(item)
        self._notifier.notify()
        return len(removed)

    def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
        """Put the items that ``create`` makes of the handlers of these types, and remove that of the claim."""
        [event] = self._claimed_items(claim)
        items = create(self.announced.find(types))
        if items is None:
            return None
        checked = [checked_untagged(item) for item in items]
        self.places.forget(event)
        for item in checked:
            self._put(item)
        self._notifier.notify()
        return len(items)

    def leave(self, claim: Claim, name: str, seconds: float) -> bool:
        """Leave the item under a name; return False once so many seconds are over since the first time."""
        [item] = self._claimed_items(claim)
        since = self._clock() if item.left_at is None else item.left_at
        if since + seconds <= self._clock() + TIME_PRECISION:
            return False
        self._settle(claim)
        item.attempts -= not claim.suspect
        item.left_at, item.due = since, since + seconds
        self.places.left.add(item, name, item.due)
        self.leaves += 1
        self._notifier.notify()
        return True

    def claim_left(self, names: Collection[str], limit: int, seconds: float) -> list[Claim]:
        """Lease items that were left under one of these names."""
        until = self._update_due() + seconds
        claims: list[Claim] = []
        while len(claims) < limit and (first := self.places.left.first(names)) is not None:
            item = self.places.items[first]
            self._note(item)
            self.places.left.remove(first)
            item.left_at = None
            claims.append(self._lease(item, until))
        return claims

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Remove items without attempts, and return their ids."""
        items = [item for id in dict.fromkeys(ids) for item in self.places.of_id(id) if not item.attempts]
        for item in items:
            self._note(item)
            self.places.forget(item)
        return [item.put_id for item in items]

    def cancel_as_told(self, ids: Sequence[str], told: list[str]) -> None:
        """Remove items without attempts. Raises `ReadConflict` if their ids are not those that a caller was told."""
        if self.cancellable(ids) != told:
            raise ReadConflict("the items to cancel")
        self.cancel(ids)

    def cancellable(self, ids: Sequence[str]) -> list[str]:
        """Return the ids that `cancel` would return."""
        return [item.put_id for id in dict.fromkeys(ids) for item in self.places.of_id(id) if not item.attempts]

    def stats(self) -> Stats:
        """Count the items of each kind."""
        self._update_due()
        delayed, leased, dead, left = (
            len(self.places.delayed),
            len(self.places.leased),
            len(self.places.dead),
            len(self.places.left),
        )
        ready = len(self.places.items) - delayed - leased - dead - left
        return Stats(ready, delayed, leased, dead, left, len(self.places.suspects))

    def dead(self, limit: int) -> list[DeadLetter]:
        """Return the first dead letters."""
        first = islice(self.places.dead.values(), limit)
        return [DeadLetter(item.put_id, item.body, dict(item.headers), item.reason, item.attempts) for item in first]

    def redrive(self, ids: Sequence[str]) -> list[str]:
        """Put dead letters back at the end of the queue, and return their ids."""
        items = self._pop_dead(ids)
        for item in items:
            item.attempts, item.position, item.left_at = 0, next(self._positions), None
            self._add(item, 0)
        return [item.put_id for item in items]

    def discard(self, ids: Sequence[str]) -> list[str]:
        """Remove dead letters, and return their ids."""
        items = self._pop_dead(ids)
        for item in items:
            self.places.forget(item)
        return [item.put_id for item in items]

    def clear(self) -> int:
        """Remove all items, and return their number."""
        items = [*self.places.items.values()]
        for item in items:
            self._note(item)
            self.places.dead.pop(item.id, None)
            self.places.forget(item)
        self._notifier.notify()
        return len(items)

    def has_claimable(self, suspects: bool, leaves: int) -> bool:
        """True if there is an item to claim, or one was left since this number of them; suspects: be it a suspect."""
        self._update_due()
        is_claimable = self.places.ready.first() is not None or (suspects and bool(self.places.suspects))
        return is_claimable or self.leaves != leaves

    def next_due(self) -> float:
        """Return the time of the clock at which items may become claimable by themselves."""
        return min(self.places.delayed.first_rank(), self.places.leased.first_rank(), self.places.left.first_due())

    def look(self, suspects: bool, leaves: int) -> tuple[bool, float]:
        """Return what `has_claimable` and `next_due` do."""
        return self.has_claimable(suspects, leaves), self.next_due()

    def _put(self, item: Item) -> PutResult:
        id = uuid4().hex if item.id is None else item.id
        same = self.places.by_id.get(id)
        if same is None:
            same = self.places.by_id[id] = {}
        elif item.unique == "until-done" or not all(each.attempts for each in same.values()):
            return PutResult(id, True)
        name = uuid4().hex if id in self.places.items else id
        stored = QueueItem(name, id, item.body, dict(item.headers), item.key, next(self._positions))
        self._note(stored)
        self.places.items[name] = same[name] = stored
        self._add(stored, item.delay)
        return PutResult(id, False)

    def _add(self, item: QueueItem, delay: float) -> None:
        item.due = self._clock() + delay
        if delay:
            self.places.delayed.put(item.id, item.due)
        else:
            self.places.ready.add(item)
        self._notifier.notify()

    def _update_due(self) -> float:
        """Make delayed items ready whose time has come, and leased items suspects; return the time now.

        The token stays valid until the item is claimed again, so that a late claim can still be settled.
        """
        now = self._clock()
        limit = now + TIME_PRECISION
        for id in (*self.places.delayed.pop_all(limit), *self.places.left.pop_due(limit)):
            self.places.ready.add(self.places.items[id])
        while (first := self.places.leased.first(limit)) is not None:
            self.places.suspects.put(first, -self.places.leased.first_rank(), -self.places.items[first].position)
            self.places.leased.remove(first)
        return now

    def _claim_suspect(self, until: float) -> list[Claim]:
        """Lease the first suspect. The claim before counts as an attempt if it was one of a suspect, too."""
        first = self.places.suspects.first()
        if first is None:
            return []
        item = self.places.items[first]
        self._note(item)
        self.places.suspects.remove(first)
        counts, item.was_alone = item.was_alone, True
        return [self._lease(item, until, int(counts))]

    def _lease(self, item: QueueItem, until: float, attempts: int = 1) -> Claim:
        self._note(item)
        self.places.ready.claim(item)
        item.attempts += attempts
        item.token = token = f"{uuid4().hex}.{item.id}"
        self.places.leased.put(item.id, until)
        headers = dict(item.headers)
        return Claim(item.put_id, item.body, headers, item.key, item.attempts, token, item.was_alone)

    def _claimed_items(self, *claims: Claim) -> list[QueueItem]:
        """Return the items of claims. Raises `LeaseLost` for claims that are lost or settled."""
        items = [self._claimed_item(claim) for claim in claims]
        lost = [claim.id for claim, item in zip(claims, items, strict=True) if item is None]
        if lost:
            raise LeaseLost(lost)
        found = [item for item in items if item is not None]
        self._note(*found)
        return found

    def _claimed_item(self, claim: Claim) -> QueueItem | None:
        item = self.places.items.get(claim.token.partition(".")[2])
        return item if item is not None and item.token == claim.token else None

    def _settle(self, claim: Claim) -> QueueItem:
        """End a claim and return its item, which is then in no state, but keeps its key."""
        [item] = self._claimed_items(claim)
        self.places.withdraw(item)
        item.token, item.was_alone = None, False
        return item

    def _release(self, item: QueueItem) -> None:
        item.attempts -= 1
        if not item.attempts:
            self.places.ready.free_key(item)
        self.places.ready.add(item)

    def _pop_dead(self, ids: Sequence[str]) -> list[QueueItem]:
        items = [item for id in dict.fromkeys(ids) for item in self.places.of_id(id) if item.id in self.places.dead]
        self._note(*items)
        for item in items:
            del self.places.dead[item.id]
        return items

    def _note(self, *items: QueueItem) -> None:
        """Note the state of items before they are changed, if a transaction is open."""
        if self._undo_log.is_on:
            for item in items:
                self._undo_log.keep(self.places.memento, self.places.restore, item)
            self._undo_log.wake_at_end(self._notifier)
