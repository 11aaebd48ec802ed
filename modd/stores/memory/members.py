"""The parts of a `MemoryStore`: the implementations in memory, whose calls join the open transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from modd.concurrency.loops import steady_time
from modd.ports.transaction import Transaction
from modd.stores.memory.access import MemoryOwner
from modd.stores.memory.cache import MemoryCache
from modd.stores.memory.documents import MemoryDocuments
from modd.stores.memory.events import MemoryEventStore
from modd.stores.memory.feed import MemoryFeed
from modd.stores.memory.inbox import MemoryInbox
from modd.stores.memory.locks import MemoryLocks
from modd.stores.memory.outbox import MemoryOutbox
from modd.stores.memory.queue import MemoryQueue


class Membership(MemoryOwner, Protocol):
    """The part of `MemoryStore` that its parts use."""

    @property
    def clock(self) -> Callable[[], float]:
        """A function that returns seconds since 1970."""
        ...

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``."""
        ...


class Member:
    """A part of a store, such as its inbox."""

    def __init__(self, store: Membership) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._store!r}>"

    @property
    def store(self) -> Membership:
        """The store; parts of the same one can be in one transaction."""
        return self._store

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``."""
        return self._store.transaction(immediate=immediate)


class MemberQueue(Member, MemoryQueue):
    """A `modd.ports.Queue` of a `MemoryStore`: ``store.queue("orders")``."""

    def __init__(self, store: Membership, name: str) -> None:
        Member.__init__(self, store)
        MemoryQueue.__init__(self, store)
        self.name = name

    def __repr__(self) -> str:
        return f"<MemberQueue {self.name} in {self._store!r}>"


class MemberDocuments(Member, MemoryDocuments):
    """A `modd.ports.Documents` of a `MemoryStore`: ``store.documents("sales")``."""

    def __init__(self, store: Membership, space: str) -> None:
        Member.__init__(self, store)
        MemoryDocuments.__init__(self, space, store)

    def __repr__(self) -> str:
        return f"<MemberDocuments {self.space} in {self._store!r}>"


class MemberFeed(Member, MemoryFeed):
    """A `modd.ports.Feed` of a `MemoryStore`: ``store.feed("public")``."""

    def __init__(self, store: Membership, name: str, retention: float, most: int) -> None:
        Member.__init__(self, store)
        MemoryFeed.__init__(self, retention=retention, most=most, clock=store.clock, owner=store)
        self.name = name

    def __repr__(self) -> str:
        return f"<MemberFeed {self.name} in {self._store!r}>"


class MemberOutbox(Member, MemoryOutbox):
    """A `modd.ports.Outbox` of a `MemoryStore`: ``store.outbox``."""

    def __init__(self, store: Membership) -> None:
        Member.__init__(self, store)
        MemoryOutbox.__init__(self, store)


class MemberInbox(Member, MemoryInbox):
    """A `modd.ports.Inbox` of a `MemoryStore`, which sets its retention: ``store.inbox``."""

    def __init__(self, store: Membership, retention: float) -> None:
        Member.__init__(self, store)
        MemoryInbox.__init__(self, retention, store)


class MemberEvents(Member, MemoryEventStore):
    """A `modd.ports.EventStore` of a `MemoryStore`: ``store.events``."""

    def __init__(self, store: Membership, clock: Callable[[], float]) -> None:
        Member.__init__(self, store)
        MemoryEventStore.__init__(self, clock, store)


class MemberLocks(Member, MemoryLocks):
    """A `modd.ports.Locks` of a `MemoryStore`: ``store.locks``; not part of a deferred transaction."""

    def __init__(self, store: Membership) -> None:
        Member.__init__(self, store)
        MemoryLocks.__init__(self, store)


class MemberCache(Member, MemoryCache):
    """A `modd.ports.Cache` of a `MemoryStore`: ``store.cache``.

    Its writes are visible at once, also in a transaction that defers changes: they are not part of that, except for
    those of `set_on_commit`.
    """

    def __init__(self, store: Membership) -> None:
        Member.__init__(self, store)
        MemoryCache.__init__(self, clock=steady_time)

    async def get(self, key: str) -> bytes | None:
        """Return the value of the key; None if there is none or it has expired."""
        return await self._store.access("get", at_once=True).read("a value of the cache", self._get, key)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value for ``ttl`` seconds in place of the old one; 0 or less removes the old one only."""
        await self._store.access("set", at_once=True).write(self._change, key, value, ttl)

    async def set_on_commit(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value as `set` does, but as a part of the open transaction: with its commit, or not at all."""
        await self._store.access("set_on_commit").write(self._change, key, value, ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store the value for ``ttl`` seconds if the key has none; True if it is stored."""
        return await self._store.access("add", at_once=True).write_for_result("add", self._add, key, value, ttl)

    async def delete(self, key: str) -> None:
        """Remove the value of the key, if there is one."""
        await self._store.access("delete", at_once=True).write(self._change, key, b"", 0)

    def _add(self, key: str, value: bytes, ttl: float) -> bool:
        return self._get(key) is None and self._change(key, value, ttl)

    def _change(self, key: str, value: bytes, ttl: float) -> bool:
        self._store.undo_log.keep(self._values.get, self._set_again, key)
        return self._replace(key, value, ttl)

    def _set_again(self, key: str, value_and_end: tuple[bytes, float] | None) -> None:
        if value_and_end is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value_and_end
