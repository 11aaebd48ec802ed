"""Snapshots of the file that transactions share, because a connection for each costs more than its reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol, TypeVar

import anyio

from modd.concurrency.blocks import async_block
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")

MOST_MEMBERS = 25
"""Most transactions that share a snapshot: their reads run one after another, on one connection."""


class ReadSession(Protocol):
    """Does work that reads: a `ConnectionThread`, or `FreshReads`."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work, and return its result."""
        ...


class SharedSnapshots:
    """Gives transactions that begin to read at the same time one snapshot.

    A snapshot begins after all its members have asked for it, so that each sees every earlier commit. While one
    snapshot is being opened, the transactions that come share the next one.

    open: opens a snapshot for a block.
    """

    def __init__(self, open: Callable[[], AbstractAsyncContextManager[ReadSession]]) -> None:
        self._open = open
        self._lock = anyio.Lock(fast_acquire=True)
        self._next = SharedSnapshot()
        """The snapshot that is not begun yet, which new members join."""

    @async_block
    async def join(self) -> AsyncIterator[ReadSession]:
        """Lend a snapshot for the block."""
        snapshot = self._next
        snapshot.members += 1
        if snapshot.members == MOST_MEMBERS:
            self._next = SharedSnapshot()
        try:
            async with self._lock:
                session = snapshot.session or await self._begin(snapshot)
            yield session
        finally:
            snapshot.members -= 1
            if not snapshot.members:
                await snapshot.stack.aclose()

    async def _begin(self, snapshot: SharedSnapshot) -> ReadSession:
        """Begin a snapshot in the task of its first member; if that is cancelled, the next member begins it."""
        if self._next is snapshot:
            self._next = SharedSnapshot()
        snapshot.session = await snapshot.stack.enter_async_context(self._open())
        return snapshot.session


class SharedSnapshot:
    """One state of the file, with the number of transactions that read it; the last one ends it."""

    def __init__(self) -> None:
        self.members = 0
        self.session: ReadSession | None = None
        self.stack = AsyncExitStack()
        """Ends the snapshot."""
