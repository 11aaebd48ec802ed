"""An outbox in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count, islice
from math import inf
from typing import TypeAlias
from uuid import uuid4

import msgspec

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.loops import loop_time_of, steady_time
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.stores.checks import checked_outbox_item
from modd.stores.memory.access import Alone, MemoryOwner
from modd.stores.waiting import Notifier


class _OutboxItem(msgspec.Struct, eq=False):
    """An item that is not published yet. position: its place in the order. attempts: how often it was claimed."""

    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    position: int
    attempts: int = 0


Leases: TypeAlias = tuple[str, float, set[str]]
"""The token and the end of the latest claims, and the ids of the items that they have."""


class MemoryOutbox:
    """A `modd.ports.Outbox` of this process, for tests and for events that may be lost when the process ends.

    A claim can be settled after its lease as long as no other relay has claimed items since.

    owner: the `MemoryStore` that it is a part of; None, the default, for an outbox alone.
    """

    def __init__(self, owner: MemoryOwner | None = None) -> None:
        self._owner = owner or Alone()
        # a dict is slow to find its first key after many removals
        self._items: OrderedDict[str, _OutboxItem] = OrderedDict()
        self._claimed: set[str] = set()
        self._token, self._end = "", 0.0
        """Token and end of the latest claims."""
        self._positions, self._notifier = count(), Notifier()

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; an id that the outbox has is not added again."""
        checked = [checked_outbox_item(item) for item in items]
        ids = [uuid4().hex if item.id is None else item.id for item in checked]
        await self._owner.access("put").write(self._put, checked, ids)
        return ids

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease the first items, up to ``limit``, for ``lease`` seconds; none while another relay has a lease."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        return await self._owner.access("claim").write_for_result("claim", self._claim, most, seconds)

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims: remove their items, all or, with `LeaseLost`, none."""
        await self._owner.access("ack").write(self._ack, claims)

    async def release(self, *claims: Claim) -> None:
        """Make the items claimable again in their old order; all or, with `LeaseLost`, none."""
        await self._owner.access("release").write(self._settle, claims)

    async def wait(self, seconds: float) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``."""
        end = inf

        async def look() -> bool:
            nonlocal end
            access = self._owner.access("wait")
            is_claimable, end = await access.read("the items of the outbox", self._look)
            return is_claimable

        await self._notifier.wait(seconds, look, lambda: loop_time_of(end))

    def _look(self) -> tuple[bool, float]:
        """Return if there is an item to claim, and the steady time at which a lease ends."""
        return self._is_claimable(), self._end if self._claimed else inf

    def _put(self, items: Sequence[Item], ids: Sequence[str]) -> None:
        for item, id in zip(items, ids, strict=True):
            if id not in self._items:
                self._owner.undo_log.keep(self._item_of, self._set_item, id)
                self._items[id] = _OutboxItem(id, item.body, dict(item.headers), item.key, next(self._positions))
        self._wake()

    def _is_claimable(self) -> bool:
        return bool(self._items) and (not self._claimed or self._end <= steady_time() + TIME_PRECISION)

    def _claim(self, limit: int, seconds: float) -> list[Claim]:
        if not self._is_claimable():
            return []
        first = list(islice(self._items.values(), limit))
        self._lease(uuid4().hex, steady_time() + seconds, {item.id for item in first})
        return [self._claim_item(item) for item in first]

    def _claim_item(self, item: _OutboxItem) -> Claim:
        self._owner.undo_log.keep(self._item_of, self._set_item, item.id)
        item = self._items[item.id] = msgspec.structs.replace(item, attempts=item.attempts + 1)
        return Claim(item.id, item.body, dict(item.headers), item.key, item.attempts, self._token)

    def _ack(self, claims: Sequence[Claim]) -> None:
        self._settle(claims)
        for claim in claims:
            self._owner.undo_log.keep(self._item_of, self._set_item, claim.id)
            self._items.pop(claim.id, None)

    def _settle(self, claims: Sequence[Claim]) -> None:
        """End claims. Raises `LeaseLost`, and ends none, if one of them is lost or settled."""
        lost = [claim.id for claim in claims if claim.token != self._token or claim.id not in self._claimed]
        if lost:
            raise LeaseLost(lost)
        self._lease(self._token, self._end, self._claimed.difference(claim.id for claim in claims))
        self._wake()

    def _lease(self, token: str, end: float, ids: set[str]) -> None:
        self._owner.undo_log.keep(self._leases, self._set_leases, None)
        self._token, self._end, self._claimed = token, end, ids

    def _leases(self, _: None) -> Leases:
        return self._token, self._end, self._claimed

    def _set_leases(self, _: None, leases: Leases) -> None:
        self._token, self._end, self._claimed = leases

    def _item_of(self, id: str) -> _OutboxItem | None:
        return self._items.get(id)

    def _set_item(self, id: str, item: _OutboxItem | None) -> None:
        """Put an item back in its place, or remove it."""
        self._items.pop(id, None)
        if item is not None:
            last = next(reversed(self._items.values()), item)
            self._items[id] = item
            if item.position < last.position:
                self._items = OrderedDict(sorted(self._items.items(), key=lambda entry: entry[1].position))

    def _wake(self) -> None:
        self._notifier.notify()
        self._owner.undo_log.wake_at_end(self._notifier)
