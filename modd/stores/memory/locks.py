"""Locks in the memory of this process."""

from __future__ import annotations

from threading import Lock

from anyio.lowlevel import checkpoint

from modd.checks import checked_span
from modd.concurrency.loops import steady_time
from modd.stores.memory.timers import IndexedHeap


class MemoryLocks:
    """A `modd.ports.Locks` of this process: it excludes code in the same process only."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._ends = IndexedHeap()
        """The keys that are locked, by the time at which their locks end."""
        self._lock = Lock()  # for loops in several threads

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to lock the key for ``ttl`` seconds; True if the lock is acquired."""
        seconds = checked_span("ttl", ttl)
        await checkpoint()
        with self._lock:
            self._drop_expired()
            if key in self._tokens:
                return False
            self._tokens[key] = token
            self._ends.put(key, steady_time() + seconds)
            return True

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Let the lock end ``ttl`` seconds from now; False if the token does not hold it any more."""
        seconds = checked_span("ttl", ttl)
        await checkpoint()
        with self._lock:
            self._drop_expired()
            if self._tokens.get(key) != token:
                return False
            self._ends.put(key, steady_time() + seconds)
            return True

    async def release(self, key: str, token: str) -> None:
        """End the lock if the token holds it."""
        await checkpoint()
        with self._lock:
            if self._tokens.get(key) == token:
                del self._tokens[key]
                self._ends.remove(key)

    def _drop_expired(self) -> None:
        for key in self._ends.pop_all(steady_time()):
            del self._tokens[key]
