"""Connections that only read, beside the one that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar, cast

import anyio

from modd.concurrency.cancellation import put_off
from modd.ports.transaction import Parameters
from modd.stores.sqlite.batch import roll_back
from modd.stores.sqlite.connection import Link
from modd.stores.sqlite.errors import StoreClosed, translating
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


IDLE = 4
"""Connections that are kept, and that read at the same time outside of transactions."""


class Readers:
    """Connections for reading, opened when they are needed. What was committed before is seen."""

    def __init__(self, store: str, link: Callable[[], Awaitable[Link]]) -> None:
        self._store, self._link = store, link
        self._idle: list[Link] = []
        self._taken: set[Link] = set()
        self._ended = False
        self._works = 0
        """How many connections are opened, read from or closed now."""
        self._rested = anyio.Event()
        self._limiter = anyio.CapacityLimiter(IDLE)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something. Raises `modd.ports.StoreError`."""
        async with self._limiter, self.link() as link:
            return await self.run(link, work)

    async def run(self, link: Link, work: Callable[[Connection], T]) -> T:
        """Read something on a connection that was taken. Raises `StoreClosed` when the store was closed meanwhile."""
        with self._working(), translating(self._store):
            return await link.run(work)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """A connection for as long as the block lasts, however many there are."""
        link = await self._take()
        try:
            yield link
        finally:
            if not self._ended:  # else it stays among those that `end` closes
                await self._give_back(link)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Link]:
        """A connection that sees, for as long as the block lasts, what was committed when it first read."""
        async with self.link() as link:
            await self.run(link, lambda connection: connection.execute("BEGIN"))
            try:
                yield link
            finally:
                if not self._ended:
                    await self.run(link, roll_back)

    async def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            await self._idle.pop().close()

    async def end(self) -> None:
        """Give out none any more, wait for what is being read, and close all.

        Those of transactions that go on though the store is closed are closed too: nobody else would.
        """
        self._ended = True
        await self._rest()
        await self.close()
        for link in [*self._taken]:
            await link.close()

    async def _take(self) -> Link:
        with self._working():
            link = self._idle.pop() if self._idle else await self._opened()
            self._taken.add(link)
            return link

    async def _give_back(self, link: Link) -> None:
        self._taken.discard(link)
        if len(self._idle) < IDLE:
            self._idle.append(link)
            return
        with self._working():
            await link.close()

    async def _opened(self) -> Link:
        with translating(self._store):
            return await self._link()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Be waited for before the connections are closed. Raises `StoreClosed`."""
        if self._ended:
            raise StoreClosed(self._store)
        self._works += 1
        try:
            yield
        finally:
            self._works -= 1
            if not self._works:
                self._rested.set()

    async def _rest(self) -> None:
        """Wait until nothing is being done, however often that is cancelled; no work waits for anybody."""
        with anyio.CancelScope(shield=True):
            cancelled: BaseException | None = None
            while self._works:
                self._rested = anyio.Event()
                try:
                    await self._rested.wait()
                except anyio.get_cancelled_exc_class() as error:
                    cancelled = error
            if cancelled is not None:
                put_off(cancelled)


def rows_of(sql: str, parameters: Parameters = ()) -> Callable[[Connection], list[Any]]:
    """The work that reads these rows."""
    return lambda connection: connection.execute(sql, parameters).fetchall()


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
