"""Connections that only read, beside the one that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio

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
        self._limiter = anyio.CapacityLimiter(IDLE)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something. Raises `modd.ports.StoreError`."""
        async with self._limiter, self.link() as link:
            return await self.run(link, work)

    async def run(self, link: Link, work: Callable[[Connection], T]) -> T:
        """Read something on a connection that was taken. Raises `StoreClosed` when the store was closed meanwhile."""
        if self._ended:
            raise StoreClosed(self._store)
        with translating(self._store):
            return await link.run(work)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """A connection for as long as the block lasts, however many there are."""
        link = self._idle.pop() if self._idle else await self._opened()
        self._taken.add(link)
        try:
            yield link
        finally:
            self._taken.discard(link)
            if self._ended:
                pass  # it is closed already
            elif len(self._idle) < IDLE:
                self._idle.append(link)
            else:
                await link.close()

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
        """Close all, also those of transactions that go on though the store is closed: nobody else would."""
        self._ended = True
        await self.close()
        for link in [*self._taken]:
            await link.close()

    async def _opened(self) -> Link:
        with translating(self._store):
            return await self._link()


def rows_of(sql: str, parameters: Parameters = ()) -> Callable[[Connection], list[Any]]:
    """The work that reads these rows."""
    return lambda connection: connection.execute(sql, parameters).fetchall()
