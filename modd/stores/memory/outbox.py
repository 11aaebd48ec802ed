"""An outbox in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from math import inf
from threading import Lock
from uuid import uuid4

import msgspec
from anyio.lowlevel import checkpoint

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.loops import loop_time_of, steady_time
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.stores.checks import checked_outbox_item
from modd.stores.waiting import Notifier


class _OutboxItem(msgspec.Struct, eq=False):
    """An item that is not published yet. attempts: how often it was claimed."""

    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    attempts: int = 0


class MemoryOutbox:
    """A `modd.ports.Outbox` of this process, for tests and for events that may be lost when the process ends.

    A claim can be settled after its lease as long as no other relay has claimed items since.
    """

    def __init__(self) -> None:
        # a dict is slow to find its first key after many removals
        self._items: OrderedDict[str, _OutboxItem] = OrderedDict()
        self._claimed: set[str] = set()
        self._token, self._end = "", 0.0
        """Token and end of the latest claims."""
        self._notifier = Notifier()
        self._lock = Lock()  # for loops in several threads

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; an id that the outbox has is not added again."""
        checked = [checked_outbox_item(item) for item in items]
        await checkpoint()
        with self._lock:
            ids = [self._put(item) for item in checked]
            self._notifier.notify()
            return ids

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease the first items, up to ``limit``, for ``lease`` seconds; none while another relay has a lease."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        await checkpoint()
        with self._lock:
            if not self._is_claimable():
                return []
            self._token, self._end = uuid4().hex, steady_time() + seconds
            first = list(islice(self._items.values(), most))
            self._claimed = {item.id for item in first}
            return [self._claim(item) for item in first]

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims: remove their items, all or, with `LeaseLost`, none."""
        await checkpoint()
        with self._lock:
            self._settle(*claims)
            for claim in claims:
                self._items.pop(claim.id, None)

    async def release(self, *claims: Claim) -> None:
        """Make the items claimable again in their old order; all or, with `LeaseLost`, none."""
        await checkpoint()
        with self._lock:
            self._settle(*claims)

    async def wait(self, seconds: float) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``."""
        await self._notifier.wait(seconds, self._look, lambda: loop_time_of(self._end) if self._claimed else inf)

    async def _look(self) -> bool:
        await checkpoint()
        with self._lock:
            return self._is_claimable()

    def _put(self, item: Item) -> str:
        id = uuid4().hex if item.id is None else item.id
        if id not in self._items:
            self._items[id] = _OutboxItem(id, item.body, dict(item.headers), item.key)
        return id

    def _is_claimable(self) -> bool:
        return bool(self._items) and (not self._claimed or self._end <= steady_time() + TIME_PRECISION)

    def _claim(self, item: _OutboxItem) -> Claim:
        item.attempts += 1
        return Claim(item.id, item.body, dict(item.headers), item.key, item.attempts, self._token)

    def _settle(self, *claims: Claim) -> None:
        """End claims. Raises `LeaseLost`, and ends none, if one of them is lost or settled."""
        lost = [claim.id for claim in claims if claim.token != self._token or claim.id not in self._claimed]
        if lost:
            raise LeaseLost(lost)
        self._claimed.difference_update(claim.id for claim in claims)
        self._notifier.notify()
