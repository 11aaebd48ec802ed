"""Connections to the file, each in its own thread, for asyncio and trio alike.

aiosqlite runs the thread; it needs an asyncio loop to call back to. Under trio that is a `LoopThread`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar, cast

import aiosqlite
import anyio
import anyio.to_thread

from modd.concurrency.cancellation import native_requests, put_off
from modd.concurrency.loop_thread import LoopThread
from modd.concurrency.threads import threads_at_work
from modd.stores.sqlite.savepoint import drop_corrupt_pages
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


class SqliteProxy:
    """Stands in for the connection that aiosqlite drives: its ``commit`` runs the next piece of work instead.

    A trip to the thread and back takes longer than a statement, so that a whole transaction is one piece of work.
    """

    def __init__(self, connect: Callable[[], Connection], work: deque[Callable[[Connection], None]]) -> None:
        self.connection, self.work = connect(), work

    def commit(self) -> None:
        """Run the next piece of work in the connection's thread."""
        self.work.popleft()(self.connection)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class ConnectionThread:
    """A connection and its thread, in which pieces of work run in the order of their submission.

    connect: makes the connection. loop: runs aiosqlite where the current loop is not asyncio's.
    """

    def __init__(self, connect: Callable[[], Connection], loop: LoopThread | None) -> None:
        self._loop = loop
        self._work: deque[Callable[[Connection], None]] = deque()
        self._limiter = anyio.CapacityLimiter(1)
        connector = cast(Any, partial(SqliteProxy, connect, self._work))
        self._db = call_in_daemon_thread(lambda: aiosqlite.Connection(connector, 64))

    async def open(self) -> None:
        """Start the thread and connect. Raises the error of ``connect``."""
        await self._call(self._connect)

    async def run(self, work: Callable[[Connection], T], *, shield: bool = True) -> T:
        """Do the work in the connection's thread, to its end even if the caller is cancelled; return its result.

        shield: False inside a scope that is shielded already; a scope more costs a fiftieth of a commit.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def do(connection: Connection) -> None:
            try:
                results.append(work(connection))
            except BaseException as error:  # a SystemExit too: it would end aiosqlite's thread
                errors.append(error)
                drop_corrupt_pages(connection, error)

        try:
            await self._do(do, shield=shield)
        except anyio.get_cancelled_exc_class() as cancelled:  # a native task.cancel(): scopes are shielded off
            requests = native_requests()
            await self._outlast()
            put_off(cancelled, requests)
        if errors:
            raise errors.pop()  # popped, so that error, frame and list form no cycle
        return results[0]

    async def close(self) -> None:
        """Finish the work that was submitted, and close the connection."""
        await self._call(self._disconnect)

    async def _do(self, work: Callable[[Connection], None], *, shield: bool = True) -> None:
        self._work.append(work)
        try:
            await self._call(self._db.commit, shield=shield)
        except Exception:
            if work in self._work:  # aiosqlite did not take it: it must not run in place of the next one
                self._work.remove(work)
            raise

    async def _outlast(self) -> None:
        """Wait until all submitted work is done, however often the waiting is cancelled."""
        cancelled = True
        while cancelled:
            try:
                await self._do(lambda _: None)
                cancelled = False
            except anyio.get_cancelled_exc_class():
                pass

    async def _connect(self) -> None:
        async def connect() -> None:
            await self._db

        await run_to_end(connect())

    async def _disconnect(self) -> None:
        await run_to_end(self._db.close())

    async def _call(self, function: Callable[[], Coroutine[Any, Any, Any]], *, shield: bool = True) -> None:
        call = object()
        threads_at_work.add(call)
        try:
            with anyio.CancelScope(shield=True) if shield else nullcontext():
                if self._loop is None:
                    await function()
                else:
                    await anyio.to_thread.run_sync(self._loop.call, function, limiter=self._limiter)
        finally:
            threads_at_work.discard(call)


async def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a new task, to its end, however often the calling task is cancelled natively.

    A connection that is half opened or half closed would never be closed.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        requests = native_requests()
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        put_off(cancelled, requests)
        task.result()


def call_in_daemon_thread(create: Callable[[], T]) -> T:
    """Call ``create`` in a daemon thread, and return its result: the threads that it starts are daemons as well.

    A store that was left open would keep the interpreter from exiting otherwise.
    """
    results: SimpleQueue[T] = SimpleQueue()
    thread = Thread(target=lambda: results.put(create()), daemon=True)
    thread.start()
    thread.join()
    return results.get()
