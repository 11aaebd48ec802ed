"""Locks in the memory of this process."""

from __future__ import annotations

from typing import TypeAlias

from modd.checks import checked_span
from modd.concurrency.loops import steady_time
from modd.stores.memory.access import Alone, MemoryOwner
from modd.stores.timers import IndexedHeap

LockState: TypeAlias = tuple[str, float] | None
"""The token and the end of a lock; None if the key is free."""


class MemoryLocks:
    """A `modd.ports.Locks` of this process: it excludes code in the same process only.

    owner: the `MemoryStore` that they are a part of; None, the default, for locks alone.
    """

    def __init__(self, owner: MemoryOwner | None = None) -> None:
        self._tokens: dict[str, str] = {}
        self._ends = IndexedHeap()
        """The keys that are locked, by the time at which their locks end."""
        self._owner = owner or Alone()

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to lock the key for ``ttl`` seconds; True if the lock is acquired."""
        access = self._owner.access("acquire", at_once=True)
        return await access.write_for_result("acquire", self._acquire, key, checked_span("ttl", ttl), token)

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Let the lock end ``ttl`` seconds from now; False if the token does not hold it any more."""
        access = self._owner.access("renew", at_once=True)
        return await access.write_for_result("renew", self._renew, key, checked_span("ttl", ttl), token)

    async def release(self, key: str, token: str) -> None:
        """End the lock if the token holds it."""
        await self._owner.access("release", at_once=True).write(self._release, key, token)

    def _acquire(self, key: str, seconds: float, token: str) -> bool:
        self._drop_expired()
        return key not in self._tokens and self._change(key, (token, steady_time() + seconds))

    def _renew(self, key: str, seconds: float, token: str) -> bool:
        self._drop_expired()
        return self._tokens.get(key) == token and self._change(key, (token, steady_time() + seconds))

    def _release(self, key: str, token: str) -> None:
        if self._tokens.get(key) == token:
            self._change(key, None)

    def _change(self, key: str, state: LockState) -> bool:
        self._owner.undo_log.keep(self._state_of, self._set_state, key)
        self._set_state(key, state)
        return True

    def _state_of(self, key: str) -> LockState:
        return (self._tokens[key], self._ends.place_of(key)[0]) if key in self._tokens else None

    def _set_state(self, key: str, state: LockState) -> None:
        if state is None:
            self._tokens.pop(key, None)
            self._ends.remove(key)
        else:
            self._tokens[key], end = state
            self._ends.put(key, end)

    def _drop_expired(self) -> None:
        for key in self._ends.pop_all(steady_time()):
            del self._tokens[key]
