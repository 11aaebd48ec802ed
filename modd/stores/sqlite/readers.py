"""Connections that only read, beside the one that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import anyio

from modd.cancelled import put_off
from modd.ports.transaction import Parameters
from modd.stores.sqlite.batch import roll_back
from modd.stores.sqlite.errors import StoreClosed, translating
from modd.stores.sqlite.link import Link
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
