"""A cache in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from modd.checks import checked_count


class MemoryCache:
    """A `modd.ports.Cache` of this process.

    size: how many values it keeps at most; for one more, the value that was not used for longest goes. To be found by
    `get` or by `add` is to be used. clock: seconds. Raises `InvalidOption`.

    Its methods never wait, and let nobody else run: what was kept is had at the price of a look into a dictionary.
    """

    def __init__(self, size: int = 10_000, clock: Callable[[], float] = monotonic) -> None:
        self._size = checked_count("size", size)
        self._clock = clock
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        """Value and end of each key, the one that was used last at the end."""

    async def get(self, key: str) -> bytes | None:
        """The value of the key; None when there is none or its time is over."""
        kept = self._kept.get(key)
        if kept is None or kept[1] <= self._clock():
            return None
        self._kept.move_to_end(key)
        return kept[0]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the value for ``ttl`` seconds in place of what the key had; for 0 or less, the key has none then."""
        self._kept.pop(key, None)
        self._keep(key, value, ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Keep the value for ``ttl`` seconds if the key has none; True if this value is kept now."""
        return await self.get(key) is None and self._keep(key, value, ttl)

    async def delete(self, key: str) -> None:
        """Forget the value of the key, if there is one."""
        self._kept.pop(key, None)

    def _keep(self, key: str, value: bytes, ttl: float) -> bool:
        if not ttl > 0:
            return False
        self._kept.pop(key, None)  # to be at the end
        self._kept[key] = (value, self._clock() + ttl)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return True
