"""Read-only connections, beside the connection that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

import anyio

from modd.concurrency.blocks import async_block, block
from modd.concurrency.cancellation import put_off
from modd.stores.sqlite.connection import ConnectionThread
from modd.stores.sqlite.errors import StoreClosed, translate_errors
from modd.stores.sqlite.savepoint import roll_back
from modd.stores.sqlite.snapshots import ReadSession, SharedSnapshots
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


IDLE = 4
"""Connections that stay open for the next read; also the number of reads at the same time outside of transactions."""


class Readers:
    """A pool of read-only connections, opened when they are needed. A read sees every earlier commit.

    connect: opens a connection.
    """

    def __init__(self, store: str, connect: Callable[[], Awaitable[ConnectionThread]]) -> None:
        self._store, self._connect = store, connect
        self._idle: list[ConnectionThread] = []
        self._borrowed: set[ConnectionThread] = set()
        self._has_ended = False
        self._active = 0
        """Number of connections that are being opened, read from or closed."""
        self._inactive = anyio.Event()
        self._limiter = anyio.CapacityLimiter(IDLE)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do work that reads, and return its result. Raises `modd.ports.StoreError`."""
        async with self._limiter, self.borrow() as thread:
            return await self.run(thread, work)

    async def run(self, session: ReadSession, work: Callable[[Connection], T]) -> T:
        """Do work that reads on a borrowed connection. Raises `StoreClosed` if the store was closed meanwhile."""
        with self._count_as_active(), translate_errors(self._store):
            return await session.run(work)

    @async_block
    async def borrow(self) -> AsyncIterator[ConnectionThread]:
        """Lend a connection for the block; a new one if none is idle."""
        thread = await self._take()
        try:
            yield thread
        finally:
            if not self._has_ended:  # else `end` closes it
                await self._put_back(thread)

    @async_block
    async def snapshot(self) -> AsyncIterator[ReadSession]:
        """Lend a connection that sees the same state of the file during the whole block: that of its first read."""
        async with self.borrow() as thread:
            try:
                await self.run(thread, _begin_snapshot)
                yield thread
            finally:
                if not self._has_ended:
                    await self.run(thread, roll_back)

    async def close_idle(self) -> None:
        """Close the connections that are not lent."""
        while self._idle:
            await self._idle.pop().close()

    async def end(self) -> None:
        """Lend no more connections, wait for the reads in progress, and close all connections.

        Connections of transactions that outlive the store are closed too, because nothing else would close them.
        """
        self._has_ended = True
        await self._wait_until_inactive()
        await self.close_idle()
        for thread in [*self._borrowed]:
            await thread.close()

    async def _take(self) -> ConnectionThread:
        with self._count_as_active():
            thread = self._idle.pop() if self._idle else await self._open()
            self._borrowed.add(thread)
            return thread

    async def _put_back(self, thread: ConnectionThread) -> None:
        self._borrowed.discard(thread)
        if len(self._idle) < IDLE:
            self._idle.append(thread)
            return
        with self._count_as_active():
            await thread.close()

    async def _open(self) -> ConnectionThread:
        with translate_errors(self._store):
            return await self._connect()

    @block
    def _count_as_active(self) -> Iterator[None]:
        """Make `end` wait for the block. Raises `StoreClosed` after `end`."""
        if self._has_ended:
            raise StoreClosed(self._store)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            if not self._active:
                self._inactive.set()

    async def _wait_until_inactive(self) -> None:
        """Wait for the reads in progress, however often that is cancelled; a read waits for no task, so this ends."""
        with anyio.CancelScope(shield=True):
            cancelled: BaseException | None = None
            while self._active:
                self._inactive = anyio.Event()
                try:
                    await self._inactive.wait()
                except anyio.get_cancelled_exc_class() as error:
                    cancelled = error
            if cancelled is not None:
                put_off(cancelled)


def _begin_snapshot(connection: Connection) -> None:
    """Begin to read the latest state: SQLite chooses it at the first read, and others may have to see it later."""
    connection.execute("BEGIN")
    connection.execute("SELECT 1 FROM modd_store").fetchall()


class PausableReaders(Readers):
    """Readers that can have every connection closed for a while, for a change of the journal mode.

    has_snapshots: True if transactions read from a snapshot. In TRUNCATE mode a snapshot would block every writer, so
    that there each read sees the latest commit.
    """

    def __init__(self, store: str, connect: Callable[[], Awaitable[ConnectionThread]], has_snapshots: bool) -> None:
        super().__init__(store, connect)
        self.has_snapshots = has_snapshots
        self._lent = self._open_snapshots = 0
        self._pause_over: anyio.Event | None = None
        self._changed = anyio.Event()
        self._shared = SharedSnapshots(super().snapshot)

    @async_block
    async def borrow(self) -> AsyncIterator[ConnectionThread]:
        """Lend a connection for the block, after the pause if there is one."""
        while self._pause_over is not None:
            await self._pause_over.wait()
        self._lent += 1
        try:
            async with super().borrow() as thread:
                yield thread
        finally:
            self._lent -= 1
            self._changed.set()

    @async_block
    async def snapshot(self) -> AsyncIterator[ReadSession]:
        """Lend a connection that sees one state of the file, or `FreshReads` where there are no snapshots."""
        if not self.has_snapshots:
            yield FreshReads(self)
            return
        self._open_snapshots += 1
        try:
            async with self._shared.join() as session:
                yield session
        finally:
            self._open_snapshots -= 1
            self._changed.set()

    async def end_snapshots(self) -> None:
        """Start no more snapshots, and wait for the open ones; other reads and writes go on meanwhile."""
        self.has_snapshots = False
        await self._wait_until(lambda: not self._open_snapshots)

    @async_block
    async def paused(self) -> AsyncIterator[None]:
        """Have no connection open during the block, after the reads in progress."""
        self._pause_over = anyio.Event()
        try:
            await self._wait_until(lambda: not self._lent)
            await self.close_idle()
            yield
        finally:
            self._pause_over.set()
            self._pause_over = None

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed = anyio.Event()
            await self._changed.wait()


class FreshReads:
    """Stands in for the connection of a snapshot: each piece of work sees the latest commit, on any connection."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do work that reads, and return its result."""
        return await self._readers.read(work)
