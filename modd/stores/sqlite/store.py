"""A store in one SQLite file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from threading import get_ident
from time import time
from types import TracebackType
from typing import Any, Self

import anyio

from modd.checks import checked_callable, checked_delay, checked_span
from modd.core import detached
from modd.errors import AlreadyOpen, InvalidOption
from modd.ports.inbox import WEEK
from modd.ports.transaction import open_transaction
from modd.stores.sqlite.base import Alone, Way
from modd.stores.sqlite.cache import SqliteCache
from modd.stores.sqlite.connection import Loop, own_loop
from modd.stores.sqlite.errors import AnswerNeeded, StoreClosed, StoreElsewhere, StoreForked, translating
from modd.stores.sqlite.events import SqliteEventStore
from modd.stores.sqlite.inbox import SqliteInbox
from modd.stores.sqlite.journal import Journal
from modd.stores.sqlite.locks import SqliteLocks
from modd.stores.sqlite.opening import Opening, checked_path, connected
from modd.stores.sqlite.outbox import SqliteOutbox
from modd.stores.sqlite.positions import Places
from modd.stores.sqlite.queue import SqliteQueue
from modd.stores.sqlite.retention import Retention
from modd.stores.sqlite.transaction import Collecting, OwnWrites, SqliteTransaction
from modd.stores.sqlite.writer import Writer


class SqliteStore:
    """Queues, events, a cache, locks, an inbox and an outbox in one SQLite file: ``async with SqliteStore(path):``.

    What was awaited is on the disk. Calls that are made at the same time are committed together, so that many cost
    little more than one.

    path: of the file, which is made if there is none; its folder must be there. clock: seconds since 1970, the same for
    all processes that use the file. timeout: for how many seconds to wait for another process that has the file locked.
    keep: for how many seconds the inbox knows an id; longer than anything takes to come again. connect: makes
    connections, for another build of SQLite than that of `sqlite3`.

    What is over goes away by itself: what was acknowledged at once; expired values of the cache, locks that ended and
    ids that the inbox forgets within a few minutes, in small steps. What the file has freed it uses again.

    Raises `InvalidOption`; when it is opened, `modd.ports.StoreError`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time,
        timeout: float = 10.0,
        keep: float = WEEK,
        connect: Callable[[str], Any] | None = None,
    ) -> None:
        self.name = checked_path(path)
        self.clock = checked_callable("clock", clock)
        self._timeout = checked_delay("timeout", timeout)
        self._connect = connect or connected
        self.events, self.cache, self.locks = SqliteEventStore(self), SqliteCache(self), SqliteLocks(self)
        self.inbox, self.outbox = SqliteInbox(self, checked_span("keep", keep)), SqliteOutbox(self)
        self._retention = Retention(self, keep)
        self._queues: dict[str, SqliteQueue] = {}
        self._opened: AsyncExitStack | None = None
        self._process = self._thread = 0
        self._places = Places()
        self._alone: Alone | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self.name}>"

    def queue(self, name: str) -> SqliteQueue:
        """The queue of this name; it is made by its first use. Raises `InvalidOption` for what is no text."""
        if not isinstance(name, str):
            raise InvalidOption("name", name, 'give a text, such as store.queue("orders")')
        return self._queues.setdefault(name, SqliteQueue(self, name, self.outbox, self._places))

    def transaction(
        self, *, own_writes: bool = False, limit: float = 5.0
    ) -> AbstractAsyncContextManager[SqliteTransaction]:
        """One transaction for the block: what it writes is committed at its end, or, if it fails, not at all.

        Calls of the store in it join it. Its writes are collected and applied at the end, in one go; it reads what was
        committed when it read for the first time. The cache and the locks are not part of it: others see at once what
        is done there.

        own_writes: write at once, so that it reads what it wrote, the cache and locks too, and calls that need an
        answer work. Meanwhile nobody else can write, so it is rolled back, with `TransactionTimeout`, after ``limit``
        seconds.

        A transaction inside a transaction is a part of it, whose writes are undone if it alone fails.
        """
        around = self._around()
        if around is not None:
            around.check("transaction")
            if own_writes and around.collects:
                raise AnswerNeeded("a transaction with own_writes=True")
            return around.part()
        self.way("transaction")
        if own_writes:
            return OwnWrites(self, self._writer, checked_span("limit", limit)).run()
        return Collecting(self, self._writer, self._readers)

    def way(self, what: str, *, aside: bool = False) -> Way:
        """How to read and write here: alone, or in the transaction that is open."""
        joined = self._around()
        if self._alone is None:
            raise StoreClosed(self.name)
        self._check_process()
        if joined is None or (aside and joined.collects):
            return self._alone
        joined.check(what)
        return joined

    @property
    def journal(self) -> Journal:
        """The journal mode of the file while it is open, and why it is that one. Raises `StoreClosed`."""
        if self._alone is None:
            raise StoreClosed(self.name)
        return self._sharing.journal

    async def __aenter__(self) -> Self:
        """Open the file, or make it, and begin to write what is submitted."""
        if self._opened is not None:
            self._check_process()
            raise AlreadyOpen(self.name)
        self._process, self._thread = os.getpid(), get_ident()
        async with AsyncExitStack() as stack:
            self._opened = stack
            stack.callback(self._closed)
            loop = own_loop()
            if loop is not None:
                stack.callback(loop.close)
            with translating(self.name):
                await self._open(stack, loop)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what was submitted, and close the file."""
        assert self._opened is not None  # only reached after __aenter__
        if os.getpid() != self._process:  # forked; it is the other process that closes its file
            return
        await self._opened.aclose()  # without the error: the task group in there would make a group of it

    async def _open(self, stack: AsyncExitStack, loop: Loop | None) -> None:
        opened = await Opening(self.name, self._connect, self._timeout, loop).open(stack)
        self._sharing, self._readers = opened.sharing, opened.readers
        self._places.begin(opened.nonce)
        stack.push_async_callback(opened.readers.end)
        self._writer = writer = Writer(self.name, opened.link, self._committed)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(writer.run)
        stack.callback(writer.close)
        stack.push_async_callback(self._places.keep, self.name, writer)
        self._alone = Alone(writer, opened.readers)
        background = await stack.enter_async_context(anyio.create_task_group())
        with detached():
            background.start_soon(self._retention.run)
            background.start_soon(opened.sharing.watch, writer, opened.readers)
        stack.callback(background.cancel_scope.cancel)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise StoreForked(self.name, self._process, os.getpid())
        if get_ident() != self._thread:
            raise StoreElsewhere(self.name)

    def _committed(self) -> None:
        self.outbox.wake()
        for queue in self._queues.values():
            queue.committed()

    def _around(self) -> SqliteTransaction | None:
        """The transaction of this store that is open around what runs here, be it in another task."""
        around: Any = open_transaction.get()
        while around is not None:
            if isinstance(around, SqliteTransaction) and around.store is self and around.open:
                return around
            around = getattr(around, "outer", None)
        return None

    def _closed(self) -> None:
        self._opened = self._alone = None
