"""A queue in the memory of this process."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from itertools import count, islice
from operator import attrgetter
from threading import Lock
from uuid import uuid4

from anyio.lowlevel import checkpoint

from modd.checks import checked_choice, checked_count, checked_delay, checked_span, checked_text
from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.loops import loop_time_of, steady_time
from modd.ports.errors import LeaseLost
from modd.ports.items import HANDLER, SUSPECTS, Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects
from modd.ports.queue import CreateDeliveries
from modd.stores.checks import checked_untagged
from modd.stores.memory.lanes import QueueItem, ReadyItems
from modd.stores.memory.subscriptions import Announcements, LeftItems
from modd.stores.memory.timers import IndexedHeap
from modd.stores.waiting import Notifier


class MemoryQueue:
    """A `modd.ports.Queue` of this process, for tests and for work that may be lost when the process ends.

    Claiming and settling an item costs O(log n) in the number of items.
    """

    def __init__(self) -> None:
        self._items: dict[str, QueueItem] = {}
        """All items by the name that they have among themselves; each is also ready, delayed, leased, left or dead."""
        self._by_id: dict[str, dict[str, QueueItem]] = {}
        """The same items by the id that callers know."""
        self._ready, self._delayed, self._leased = ReadyItems(), IndexedHeap(), IndexedHeap()
        self._suspects = IndexedHeap()
        """Ids of the items whose lease ended, the latest first; they own their keys."""
        self._left, self._announced = LeftItems(), Announcements()
        self._leaves = 0
        """Number of items that were left, ever."""
        self._dead: dict[str, QueueItem] = {}
        self._positions, self._notifier = count(), Notifier()
        self._lock = Lock()  # for loops in several threads

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        """Add items, all or none, and return a result for each; an id that the queue has is not added again."""
        checked = [checked_untagged(item) if isinstance(item, Item) else Item(item) for item in items]
        await checkpoint()
        with self._lock:
            return [self._put(item) for item in checked]

    async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, or one suspect, without waiting for any."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        checked_choice("suspects", suspects, SUSPECTS)
        await checkpoint()
        with self._lock:
            self._update_due()
            if suspects == "first" and self._suspects:
                return self._claim_suspect(seconds)
            claims: list[Claim] = []
            while len(claims) < most and (first := self._ready.first()) is not None:
                claims.append(self._lease(self._items[first], seconds))
            return self._claim_suspect(seconds) if suspects == "last" and not claims else claims

    async def extend(self, claim: Claim, lease: float) -> None:
        """Let the lease of a claim end ``lease`` seconds from now."""
        seconds = checked_span("lease", lease)
        await checkpoint()
        with self._lock:
            [item] = self._claimed_items(claim)
            self._withdraw(item)
            self._leased.put(item.id, steady_time() + seconds)
            self._notifier.notify()

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims: remove their items, all or, with `LeaseLost`, none."""
        await checkpoint()
        with self._lock:
            for item in self._claimed_items(*claims):
                self._forget(item)
            self._notifier.notify()

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make the item ready again after ``delay`` seconds; it keeps its key."""
        seconds = checked_delay("delay", delay)
        await checkpoint()
        with self._lock:
            item = self._settle(claim)
            item.left_at = None
            self._add(item, seconds)

    async def release(self, claim: Claim) -> None:
        """Make the item ready again at once; the attempt does not count."""
        await checkpoint()
        with self._lock:
            item = self._settle(claim)
            if claim.suspect:
                self._suspects.put(item.id, -steady_time(), -item.position)
            else:
                self._release(item)
            self._notifier.notify()

    async def bury(self, claim: Claim, reason: str) -> None:
        """Make the item a dead letter; its key is free."""
        await checkpoint()
        with self._lock:
            item = self._settle(claim)
            self._ready.free_key(item)
            item.reason = reason
            self._dead[item.id] = item
            self._notifier.notify()

    async def announce(self, *subscriptions: Subscription, retention: float) -> None:
        """Note that these handlers were seen now; forget those that were not seen for ``retention`` seconds."""
        seconds = checked_delay("retention", retention)
        await checkpoint()
        with self._lock:
            self._announced.add(subscriptions, seconds)

    async def subscriptions(self) -> list[Subscription]:
        """Return the announced handlers, sorted by type, bus and name."""
        await checkpoint()
        with self._lock:
            return self._announced.find()

    async def forget(self, handler: str) -> int:
        """Forget a handler, and remove its items that are not leased and not dead; return their number."""
        await checkpoint()
        with self._lock:
            self._update_due()
            self._announced.forget(handler)
            items = [item for item in self._items.values() if item.headers.get(HANDLER) == handler]
            removed = [item for item in items if item.id not in self._leased and item.id not in self._dead]
            for item in removed:
                self._forget(item)
            self._notifier.notify()
            return len(removed)

    async def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
        """Put the items that ``create`` makes of the announced handlers of these types, and acknowledge the claim."""
        await checkpoint()
        with self._lock:
            [event] = self._claimed_items(claim)
            items = create(self._announced.find(types))
            if items is None:
                return None
            checked = [checked_untagged(item) for item in items]
            self._forget(event)
            for item in checked:
                self._put(item)
            self._notifier.notify()
            return len(items)

    async def leave(self, claim: Claim, name: str, retention: float) -> bool:
        """Leave the item to workers that claim items of this name; return False once ``retention`` is over."""
        seconds, name = checked_delay("retention", retention), checked_text("name", name)
        await checkpoint()
        with self._lock:
            [item] = self._claimed_items(claim)
            since = steady_time() if item.left_at is None else item.left_at
            if since + seconds <= steady_time() + TIME_PRECISION:
                return False
            self._settle(claim)
            item.attempts -= not claim.suspect
            item.left_at, item.due = since, since + seconds
            self._left.add(item, name, item.due)
            self._leaves += 1
            self._notifier.notify()
            return True

    async def claim_left(self, names: Collection[str], limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items that were left under one of these names."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        await checkpoint()
        with self._lock:
            self._update_due()
            claims: list[Claim] = []
            while len(claims) < most and (first := self._left.first(names)) is not None:
                self._left.remove(first)
                self._items[first].left_at = None
                claims.append(self._lease(self._items[first], seconds))
            return claims

    async def cancel(self, *ids: str) -> list[str]:
        """Remove items without attempts, and return the ids of the removed items."""
        await checkpoint()
        with self._lock:
            return [item.put_id for id in ids for item in self._of_id(id) if self._cancel(item)]

    async def stats(self) -> Stats:
        """Count the items of each kind."""
        await checkpoint()
        with self._lock:
            self._update_due()
            delayed, leased, dead, left = len(self._delayed), len(self._leased), len(self._dead), len(self._left)
            ready = len(self._items) - delayed - leased - dead - left
            return Stats(ready, delayed, leased, dead, left, len(self._suspects))

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """Return the first dead letters, in the order in which they were buried."""
        most = checked_count("limit", limit)
        await checkpoint()
        with self._lock:
            first = islice(self._dead.values(), most)
            return [
                DeadLetter(item.put_id, item.body, dict(item.headers), item.reason, item.attempts) for item in first
            ]

    async def redrive(self, *ids: str) -> list[str]:
        """Put dead letters back at the end of the queue, with no attempts, and return the ids of these."""
        await checkpoint()
        with self._lock:
            items = self._pop_dead(ids)
            for item in items:
                item.attempts, item.position, item.left_at = 0, next(self._positions), None
                self._add(item, 0)
            return [item.put_id for item in items]

    async def discard(self, *ids: str) -> list[str]:
        """Remove dead letters, and return the ids of the removed ones."""
        await checkpoint()
        with self._lock:
            items = self._pop_dead(ids)
            for item in items:
                self._forget(item)
            return [item.put_id for item in items]

    async def wait(self, seconds: float, *, suspects: bool = True) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``; suspects: be it a suspect."""
        await self._notifier.wait(seconds, partial(self._look, suspects, self._leaves), self._next_due)

    async def _look(self, suspects: bool, leaves: int) -> bool:
        """Look whether there is an item to claim, or one was left since this number of them."""
        await checkpoint()
        with self._lock:
            self._update_due()
            is_claimable = self._ready.first() is not None or (suspects and bool(self._suspects))
            return is_claimable or self._leaves != leaves

    def _next_due(self) -> float:
        with self._lock:
            return loop_time_of(min(self._delayed.first_rank(), self._leased.first_rank(), self._left.first_due()))

    def _put(self, item: Item) -> PutResult:
        id = uuid4().hex if item.id is None else item.id
        same = self._by_id.get(id)
        if same is None:
            same = self._by_id[id] = {}
        elif item.unique == "until-done" or not all(each.attempts for each in same.values()):
            return PutResult(id, True)
        name = uuid4().hex if id in self._items else id
        stored = QueueItem(name, id, item.body, dict(item.headers), item.key, next(self._positions))
        self._items[name] = same[name] = stored
        self._add(stored, item.delay)
        return PutResult(id, False)

    def _of_id(self, id: str) -> list[QueueItem]:
        return sorted(self._by_id.get(id, {}).values(), key=attrgetter("position"))

    def _add(self, item: QueueItem, delay: float) -> None:
        item.due = steady_time() + delay
        if delay:
            self._delayed.put(item.id, item.due)
        else:
            self._ready.add(item)
        self._notifier.notify()

    def _update_due(self) -> None:
        """Make delayed items ready whose time has come, and leased items suspects.

        The token stays valid until the item is claimed again, so that a late claim can still be settled.
        """
        now = steady_time() + TIME_PRECISION
        for id in (*self._delayed.pop_all(now), *self._left.pop_due(now)):
            self._ready.add(self._items[id])
        while (first := self._leased.first(now)) is not None:
            self._suspects.put(first, -self._leased.first_rank(), -self._items[first].position)
            self._leased.remove(first)

    def _claim_suspect(self, seconds: float) -> list[Claim]:
        """Lease the first suspect. The claim before counts as an attempt if it was one of a suspect, too."""
        first = self._suspects.pop()
        if first is None:
            return []
        item = self._items[first]
        counts, item.was_alone = item.was_alone, True
        return [self._lease(item, seconds, int(counts))]

    def _lease(self, item: QueueItem, seconds: float, attempts: int = 1) -> Claim:
        self._ready.claim(item)
        item.attempts += attempts
        item.token = token = f"{uuid4().hex}.{item.id}"
        self._leased.put(item.id, steady_time() + seconds)
        headers = dict(item.headers)
        return Claim(item.put_id, item.body, headers, item.key, item.attempts, token, item.was_alone)

    def _claimed_items(self, *claims: Claim) -> list[QueueItem]:
        """Return the items of claims. Raises `LeaseLost` for claims that are lost or settled."""
        items = [self._claimed_item(claim) for claim in claims]
        lost = [claim.id for claim, item in zip(claims, items, strict=True) if item is None]
        if lost:
            raise LeaseLost(lost)
        return [item for item in items if item is not None]

    def _claimed_item(self, claim: Claim) -> QueueItem | None:
        item = self._items.get(claim.token.partition(".")[2])
        return item if item is not None and item.token == claim.token else None

    def _settle(self, claim: Claim) -> QueueItem:
        """End a claim and return its item, which is then in no state, but keeps its key."""
        [item] = self._claimed_items(claim)
        self._withdraw(item)
        item.token, item.was_alone = None, False
        return item

    def _release(self, item: QueueItem) -> None:
        item.attempts -= 1
        if not item.attempts:
            self._ready.free_key(item)
        self._ready.add(item)

    def _withdraw(self, item: QueueItem) -> None:
        for places in (self._delayed, self._leased, self._suspects, self._left):
            places.remove(item.id)
        self._ready.remove(item)

    def _forget(self, item: QueueItem) -> None:
        self._withdraw(item)
        self._ready.free_key(item)
        self._items.pop(item.id, None)
        same = self._by_id.get(item.put_id, {})
        same.pop(item.id, None)
        if not same:
            self._by_id.pop(item.put_id, None)

    def _cancel(self, item: QueueItem) -> bool:
        if item.attempts:
            return False
        self._forget(item)
        return True

    def _pop_dead(self, ids: Sequence[str]) -> list[QueueItem]:
        names = [item.id for id in ids for item in self._of_id(id)]
        return [self._dead.pop(name) for name in names if name in self._dead]
