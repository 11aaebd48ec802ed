"""Readers that can be asked to let go of the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import anyio

from modd.stores.sqlite.link import Link
from modd.stores.sqlite.readers import Readers
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


class PausableReaders(Readers):
    """Readers whose connections are all closed for a while, when the journal mode is to be changed.

    snapshots: whether a transaction reads from a snapshot. In TRUNCATE mode a snapshot would keep all others from
    writing, so there each read sees what was committed before it.
    """

    def __init__(self, store: str, link: Callable[[], Awaitable[Link]], snapshots: bool) -> None:
        super().__init__(store, link)
        self.snapshots = snapshots
        self._held = self._used = 0
        self._resumed: anyio.Event | None = None
        self._changed = anyio.Event()

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """A connection for as long as the block lasts, when the pause is over."""
        while self._resumed is not None:
            await self._resumed.wait()
        self._used += 1
        try:
            async with super().link() as link:
                yield link
        finally:
            self._used -= 1
            self._changed.set()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Link]:
        """What sees, for as long as the block lasts, what was committed when it first read, if there are snapshots."""
        if not self.snapshots:
            yield cast(Link, Anew(self))
            return
        self._held += 1
        try:
            async with super().snapshot() as link:
                yield link
        finally:
            self._held -= 1
            self._changed.set()

    async def end_snapshots(self) -> None:
        """Give out none any more, and wait for those that are used; everything else goes on meanwhile."""
        self.snapshots = False
        await self._until(lambda: not self._held)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Have no connection open for as long as the block lasts. What is being read is read to its end."""
        self._resumed = anyio.Event()
        try:
            await self._until(lambda: not self._used)
            await self.close()
            yield
        finally:
            self._resumed.set()
            self._resumed = None

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed = anyio.Event()
            await self._changed.wait()


class Anew:
    """Stands in for the connection of a snapshot where there are none: each piece of work is done on any."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Read what was committed before."""
        result: Any = await self._readers.read(work)
        return cast(T, result)
