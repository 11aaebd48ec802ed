"""A cache in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

from modd.checks import checked_callable, checked_count


class MemoryCache:
    """A `modd.ports.Cache` of this process, with a limited size: the least recently used value is evicted first.

    Its methods never wait and let no other task run: a hit costs a look-up in a dict. Both `get` and a refused `add`
    count as a use.

    size: the most values at a time, 10 000 by default.
    clock: a function that returns seconds, ``time.monotonic`` by default.

    Raises:
        InvalidOption: ``size`` is not a whole number above 0.
    """

    def __init__(self, size: int = 10_000, clock: Callable[[], float] = monotonic) -> None:
        self._size = checked_count("size", size)
        self._clock = checked_callable("clock", clock)
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        """Value and end of each key, the most recently used key last."""
        self._lock = Lock()  # for loops in several threads

    async def get(self, key: str) -> bytes | None:
        """Return the value of the key; None if there is none or it has expired."""
        with self._lock:
            return self._get(key)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value for ``ttl`` seconds in place of the old one; 0 or less removes the old one only."""
        with self._lock:
            self._replace(key, value, ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store the value for ``ttl`` seconds if the key has none; True if it is stored."""
        with self._lock:
            return self._get(key) is None and self._replace(key, value, ttl)

    async def delete(self, key: str) -> None:
        """Remove the value of the key, if there is one."""
        self._values.pop(key, None)

    def _get(self, key: str) -> bytes | None:
        value_and_end = self._values.get(key)
        if value_and_end is None or value_and_end[1] <= self._clock():
            return None
        self._values.move_to_end(key)
        return value_and_end[0]

    def _replace(self, key: str, value: bytes, ttl: float) -> bool:
        self._values.pop(key, None)  # an expired value must not keep its old place in the order
        if not ttl > 0:
            return False
        self._values[key] = (value, self._clock() + ttl)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return True
