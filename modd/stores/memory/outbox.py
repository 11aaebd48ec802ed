"""An outbox in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from uuid import uuid4

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from modd.checks import checked_count, checked_delay, checked_span
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.stores.checks import checked_at_once
from modd.stores.memory.timers import Bell


class _Kept(msgspec.Struct, eq=False):
    """An item until it is passed on. attempts: how often it was claimed."""

    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    attempts: int = 0


class MemoryOutbox:
    """A `modd.ports.Outbox` of this process: what is in it is lost when the process ends.

    As long as nobody else has claimed anything, claims can be settled even after their lease.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # a dict is slow to find its first when many have gone
        self._claimed: set[str] = set()
        self._token, self._end = "", 0.0
        """Those of the last claims."""
        self._bell = Bell()

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; one that is there is not put again."""
        checked = [checked_at_once(item) for item in items]
        await checkpoint()
        ids = [self._put(item) for item in checked]
        self._bell.ring()
        return ids

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """The first items, up to ``limit``, for ``lease`` seconds, in order; none while somebody else has some."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        await checkpoint()
        if not self._is_claimable():
            return []
        self._token, self._end = uuid4().hex, anyio.current_time() + seconds
        first = list(islice(self._kept.values(), most))
        self._claimed = {each.id for each in first}
        return [self._claim(each) for each in first]

    async def ack(self, *claims: Claim) -> None:
        """Forget the items; all of them or, with `LeaseLost`, none."""
        await checkpoint()
        self._settle(*claims)
        for claim in claims:
            self._kept.pop(claim.id, None)

    async def release(self, *claims: Claim) -> None:
        """Leave the items where they were for somebody else; all of them or, with `LeaseLost`, none."""
        await checkpoint()
        self._settle(*claims)

    async def wait(self, seconds: float) -> None:
        """Return as soon as there may be something to claim, at the latest after so many seconds."""
        end = anyio.current_time() + checked_delay("seconds", seconds)
        await checkpoint()
        while not self._is_claimable() and anyio.current_time() < end:
            await self._bell.wait(min(end, self._end) if self._claimed else end)

    def _put(self, item: Item) -> str:
        name = uuid4().hex if item.id is None else item.id
        if name not in self._kept:
            self._kept[name] = _Kept(name, item.body, dict(item.headers), item.key)
        return name

    def _is_claimable(self) -> bool:
        return bool(self._kept) and (not self._claimed or self._end <= anyio.current_time())

    def _claim(self, kept: _Kept) -> Claim:
        kept.attempts += 1
        return Claim(kept.id, kept.body, dict(kept.headers), kept.key, kept.attempts, self._token)

    def _settle(self, *claims: Claim) -> None:
        """End these claims; raises `LeaseLost` unless all of them are held."""
        lost = [claim.id for claim in claims if claim.token != self._token or claim.id not in self._claimed]
        if lost:
            raise LeaseLost(lost)
        self._claimed.difference_update(claim.id for claim in claims)
        self._bell.ring()
