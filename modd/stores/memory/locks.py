"""Locks in the memory of this process."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from modd.checks import checked_span
from modd.stores.memory.timers import Ranked


class MemoryLocks:
    """A `modd.ports.Locks` of this process: it excludes what runs in the same process, and nothing else."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._ends = Ranked()

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to get the lock for ``ttl`` seconds; True if it is this token's now."""
        seconds = checked_span("ttl", ttl)
        await checkpoint()
        self._end_those_over()
        if key in self._tokens:
            return False
        self._tokens[key] = token
        self._ends.put(key, anyio.current_time() + seconds)
        return True

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Hold the lock for ``ttl`` seconds from now on; False if it is not this token's any more."""
        seconds = checked_span("ttl", ttl)
        await checkpoint()
        self._end_those_over()
        if self._tokens.get(key) != token:
            return False
        self._ends.put(key, anyio.current_time() + seconds)
        return True

    async def release(self, key: str, token: str) -> None:
        """End the lock if it is this token's."""
        await checkpoint()
        if self._tokens.get(key) == token:
            del self._tokens[key]
            self._ends.remove(key)

    def _end_those_over(self) -> None:
        now = anyio.current_time()
        while (key := self._ends.pop(now)) is not None:
            del self._tokens[key]
