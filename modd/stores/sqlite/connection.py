"""A connection to the file, in a thread of its own, for asyncio and trio alike."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar, cast

import aiosqlite
import anyio
import anyio.to_thread

from modd.concurrency.cancellation import put_off
from modd.stores.sqlite.batch import forget
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


class Worksite:
    """What aiosqlite takes for its connection: ``commit`` does the next piece of work in the connection's thread.

    A trip to the thread and back takes longer than a statement. So a whole transaction is one piece of work.
    """

    def __init__(self, connect: Callable[[], Connection], work: deque[Callable[[Connection], None]]) -> None:
        self.connection, self.work = connect(), work

    def commit(self) -> None:
        """Do the next piece of work."""
        self.work.popleft()(self.connection)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class Link:
    """A connection on which pieces of work are done one after another, in its thread."""

    def __init__(self, connect: Callable[[], Connection], loop: Loop | None) -> None:
        self._loop = loop
        self._work: deque[Callable[[Connection], None]] = deque()
        self._limiter = anyio.CapacityLimiter(1)
        connector = cast(Any, partial(Worksite, connect, self._work))
        self._db = in_daemon(lambda: aiosqlite.Connection(connector, 64))

    async def open(self) -> None:
        """Connect. Raises what the maker of the connection raises."""
        await self._call(self._connect)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of work to its end, whoever is cancelled meanwhile, and return what it returns."""
        results: list[T] = []
        errors: list[BaseException] = []

        def do(connection: Connection) -> None:
            try:
                results.append(work(connection))
            except BaseException as error:  # all of them: one that ends a thread would end the loop in it
                errors.append(error)
                forget(connection, error)

        try:
            await self._do(do)
        except anyio.get_cancelled_exc_class() as cancelled:  # a native task.cancel(): scopes are kept out
            await self._outlast()
            put_off(cancelled)
        if errors:
            raise errors.pop()  # and no circle of error, frame and list is left
        return results[0]

    async def close(self) -> None:
        """Finish the work that was given, and close."""
        await self._call(self._disconnect)

    async def _do(self, work: Callable[[Connection], None]) -> None:
        self._work.append(work)
        try:
            await self._call(self._db.commit)
        except Exception:
            if work in self._work:  # nobody waits for it, and it is not to be done in place of what comes next
                self._work.remove(work)
            raise

    async def _outlast(self) -> None:
        """Wait until all that was given is done, however often that is cancelled."""
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

        await to_its_end(connect())

    async def _disconnect(self) -> None:
        await to_its_end(self._db.close())

    async def _call(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        with anyio.CancelScope(shield=True):
            if self._loop is None:
                await function()
            else:
                await anyio.to_thread.run_sync(self._loop.call, function, limiter=self._limiter)


class Loop:
    """An asyncio loop in a thread of its own, for aiosqlite where another loop runs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="modd-asyncio", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run a coroutine function there, and wait in this thread until it is done."""
        asyncio.run_coroutine_threadsafe(function(), self._loop).result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do it in a task of its own, to its end, however often this one is cancelled natively.

    A connection that is half made or half closed would never be closed.
    """
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError as cancelled:
        while not doing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([doing])
        put_off(cancelled)
        doing.result()


def own_loop() -> Loop | None:
    """A loop for aiosqlite; None where an asyncio loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return Loop()
    return None


def current_task() -> object:
    """What tells this task from others, as long as it runs."""
    try:
        return asyncio.current_task()  # costs a fiftieth of what anyio tells of a task
    except RuntimeError:
        return anyio.get_current_task().id


def in_daemon(make: Callable[[], T]) -> T:
    """Make something whose threads do not keep the process from ending, as those of a daemonic thread do not.

    A store that was left open would keep the interpreter from exiting.
    """
    made: SimpleQueue[T] = SimpleQueue()
    thread = Thread(target=lambda: made.put(make()), daemon=True)
    thread.start()
    thread.join()
    return made.get()
