"""A queue in the memory of this process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice
from uuid import uuid4

import anyio
from anyio.lowlevel import checkpoint

from modd.checks import checked_count, checked_delay, checked_span
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Dead, Item, Stats
from modd.stores.memory.lanes import Entry, Ready
from modd.stores.memory.timers import Bell, Times


class MemoryQueue:
    """A `modd.ports.Queue` of this process: what is in it is lost when the process ends.

    An item takes about as long to claim and to settle when there are many as when there are few.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        """All of them; each is also in one of the following, or due and waiting for its key."""
        self._ready, self._delayed, self._leased = Ready(), Times(), Times()
        self._dead: dict[str, Entry] = {}
        self._places, self._bell = count(), Bell()

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; an id that is there is not put again."""
        checked = [item if isinstance(item, Item) else Item(item) for item in items]
        await checkpoint()
        return [self._put(item) for item in checked]

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, without waiting for any."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        await checkpoint()
        self._come_due()
        claims: list[Claim] = []
        while len(claims) < most and (first := self._ready.first()) is not None:
            claims.append(self._lease(self._entries[first], seconds))
        return claims

    async def extend(self, claim: Claim, lease: float) -> None:
        """Let the lease end ``lease`` seconds from now."""
        seconds = checked_span("lease", lease)
        await checkpoint()
        [entry] = self._held(claim)
        self._withdraw(entry)
        self._leased.put(entry.id, anyio.current_time() + seconds)
        self._bell.ring()

    async def ack(self, *claims: Claim) -> None:
        """Forget the items; all of them or, with `LeaseLost`, none."""
        await checkpoint()
        for entry in self._held(*claims):
            self._forget(entry)
        self._bell.ring()

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make the item ready again after ``delay`` seconds; it holds its key."""
        seconds = checked_delay("delay", delay)
        await checkpoint()
        self._add(self._settle(claim), seconds)

    async def release(self, claim: Claim) -> None:
        """Make the item ready again as if it had not been claimed."""
        await checkpoint()
        entry = self._settle(claim)
        entry.attempts -= 1
        if not entry.attempts:
            self._ready.free(entry)
        self._ready.add(entry)
        self._bell.ring()

    async def bury(self, claim: Claim, reason: str) -> None:
        """Put the item aside, for people; its key is free."""
        await checkpoint()
        entry = self._settle(claim)
        self._ready.free(entry)
        entry.reason = reason
        self._dead[entry.id] = entry
        self._bell.ring()

    async def cancel(self, *ids: str) -> list[str]:
        """Forget items that have not been claimed, and return the ids of those."""
        await checkpoint()
        return [each for each in ids if self._cancel(self._entries.get(each))]

    async def stats(self) -> Stats:
        """How many items there are of each kind."""
        await checkpoint()
        self._come_due()
        delayed, leased, dead = len(self._delayed), len(self._leased), len(self._dead)
        return Stats(len(self._entries) - delayed - leased - dead, delayed, leased, dead)

    async def dead(self, limit: int = 100) -> list[Dead]:
        """The buried items, those that were buried first at the front."""
        most = checked_count("limit", limit)
        await checkpoint()
        first = islice(self._dead.values(), most)
        return [Dead(each.id, each.body, dict(each.headers), each.reason, each.attempts) for each in first]

    async def redrive(self, *ids: str) -> list[str]:
        """Put buried items back, behind all others and with no attempts, and return the ids of those."""
        await checkpoint()
        entries = self._exhume(ids)
        for entry in entries:
            entry.attempts, entry.place = 0, next(self._places)
            self._add(entry, 0)
        return [entry.id for entry in entries]

    async def discard(self, *ids: str) -> list[str]:
        """Forget buried items, and return the ids of those."""
        await checkpoint()
        return [self._entries.pop(entry.id).id for entry in self._exhume(ids)]

    async def wait(self, seconds: float) -> None:
        """Return as soon as there may be something to claim, at the latest after so many seconds."""
        end = anyio.current_time() + checked_delay("seconds", seconds)
        await checkpoint()
        while not self._is_claimable() and anyio.current_time() < end:
            await self._bell.wait(min(end, self._delayed.earliest(), self._leased.earliest()))

    def _put(self, item: Item) -> str:
        name = uuid4().hex if item.id is None else item.id
        if name not in self._entries:
            entry = Entry(name, item.body, dict(item.headers), item.key, next(self._places))
            self._entries[name] = entry
            self._add(entry, item.delay)
        return name

    def _add(self, entry: Entry, delay: float) -> None:
        if delay:
            self._delayed.put(entry.id, anyio.current_time() + delay)
        else:
            self._ready.add(entry)
        self._bell.ring()

    def _come_due(self) -> None:
        """Make ready what is due and what is no longer leased; its token stays good until somebody else claims it."""
        now = anyio.current_time()
        for waiting in (self._delayed, self._leased):
            while (due := waiting.pop(now)) is not None:
                self._ready.add(self._entries[due])

    def _is_claimable(self) -> bool:
        self._come_due()
        return self._ready.first() is not None

    def _lease(self, entry: Entry, seconds: float) -> Claim:
        self._ready.take(entry)
        entry.attempts += 1
        entry.token = token = uuid4().hex
        self._leased.put(entry.id, anyio.current_time() + seconds)
        return Claim(entry.id, entry.body, dict(entry.headers), entry.key, entry.attempts, token)

    def _held(self, *claims: Claim) -> list[Entry]:
        """The entries of these claims; raises `LeaseLost` unless all of them are held."""
        lost = [claim.id for claim in claims if not self._holds(claim)]
        if lost:
            raise LeaseLost(lost)
        return [self._entries[claim.id] for claim in claims]

    def _holds(self, claim: Claim) -> bool:
        entry = self._entries.get(claim.id)
        return entry is not None and entry.token == claim.token

    def _settle(self, claim: Claim) -> Entry:
        """The entry of a claim that is at its end; it is nowhere now, but keeps its key."""
        [entry] = self._held(claim)
        self._withdraw(entry)
        entry.token = None
        return entry

    def _withdraw(self, entry: Entry) -> None:
        self._delayed.remove(entry.id)
        self._leased.remove(entry.id)
        self._ready.remove(entry)

    def _forget(self, entry: Entry) -> None:
        self._withdraw(entry)
        self._ready.free(entry)
        self._entries.pop(entry.id, None)

    def _cancel(self, entry: Entry | None) -> bool:
        if entry is None or entry.attempts:
            return False
        self._forget(entry)
        return True

    def _exhume(self, ids: Sequence[str]) -> list[Entry]:
        return [self._dead.pop(each) for each in dict.fromkeys(ids) if each in self._dead]
