"""Read-only connections, beside the connection that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TypeVar

import anyio

from modd.concurrency.blocks import async_block, block
from modd.concurrency.cancellation import native_requests, put_off
from modd.stores.errors import StoreClosed
from modd.stores.sqlite.connection import ConnectionThread
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.log_limit import LogLimit
from modd.stores.sqlite.savepoint import roll_back
from modd.stores.sqlite.snapshots import ReadSession, SharedSnapshots
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


IDLE = 4
"""Connections that stay open for the next read; also the number of reads at the same time outside of transactions."""


class Readers:
    """A pool of read-only connections, opened when they are needed. A read sees every earlier commit.

    connect: opens a connection. log: limits the WAL; None without one: in TRUNCATE mode a snapshot would block every
    writer, so that each read of a transaction sees the latest commit there.
    """

    def __init__(self, store: str, connect: Callable[[], Awaitable[ConnectionThread]], log: LogLimit | None) -> None:
        self._store, self._connect = store, connect
        self._shared = SharedSnapshots(partial(self._open_snapshot, log)) if log is not None else None
        self._idle: list[ConnectionThread] = []
        self._borrowed: set[ConnectionThread] = set()
        self._has_ended = False
        self._active = 0
        """Number of connections that are being opened, read from or closed."""
        self._inactive = anyio.Event()
        self._limiter = anyio.Semaphore(IDLE, fast_acquire=True)

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

    def snapshot(self) -> AbstractAsyncContextManager[ReadSession]:
        """Return a block that sees one state of the file; in TRUNCATE mode, each of its reads sees the latest commit.

        Transactions that begin to read at the same time share a connection.
        """
        return nullcontext(FreshReads(self)) if self._shared is None else self._shared.join()

    @async_block
    async def _open_snapshot(self, log: LogLimit) -> AsyncIterator[ReadSession]:
        async with log.count(), self.borrow() as thread:
            try:
                await self.run(thread, _begin_snapshot)
                yield thread
            finally:
                if not self._has_ended:
                    await self.run(thread, roll_back)

    async def end(self) -> None:
        """Lend no more connections, wait for the reads in progress, and close all connections.

        Connections of transactions that outlive the store are closed too, because nothing else would close them.
        """
        self._has_ended = True
        await self._wait_until_inactive()
        for thread in [*self._idle, *self._borrowed]:
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
            cancelled, requests = None, 0
            while self._active:
                self._inactive = anyio.Event()
                try:
                    await self._inactive.wait()
                except anyio.get_cancelled_exc_class() as error:
                    cancelled, requests = error, native_requests()
            if cancelled is not None:
                put_off(cancelled, requests)


def _begin_snapshot(connection: Connection) -> None:
    """Begin to read the latest state: SQLite chooses it at the first read, and others may have to see it later."""
    connection.execute("BEGIN")
    connection.execute("SELECT 1 FROM modd_store").fetchall()


class FreshReads:
    """Stands in for the connection of a snapshot: each piece of work sees the latest commit, on any connection."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do work that reads, and return its result."""
        return await self._readers.read(work)
