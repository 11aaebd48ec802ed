"""A store in one SQLite file. Begin reading here; `modd.stores.sqlite.writer` has the task that writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from threading import get_ident
from time import time
from types import TracebackType
from typing import Any, Self

import anyio

from modd.checks import checked_callable, checked_count, checked_delay, checked_span, checked_text
from modd.concurrency.lifespan import Lifespan
from modd.concurrency.loop_thread import LoopThread, start_loop_thread
from modd.concurrency.loops import check_loop, current_loop, is_over, is_running_here
from modd.core import detached
from modd.ports.inbox import WEEK
from modd.stores.checks import check_same_feed
from modd.stores.errors import ResultNeeded, StoreClosed
from modd.stores.sqlite.base import Access, Autocommit
from modd.stores.sqlite.cache import SqliteCache
from modd.stores.sqlite.deferred_transaction import DeferredTransaction
from modd.stores.sqlite.documents import SqliteDocuments
from modd.stores.sqlite.errors import StoreForked, StoreInOtherThread, translate_errors
from modd.stores.sqlite.events import SqliteEventStore
from modd.stores.sqlite.feed import SqliteFeed
from modd.stores.sqlite.immediate_transaction import ImmediateTransaction
from modd.stores.sqlite.inbox import SqliteInbox
from modd.stores.sqlite.journal_mode import Journal
from modd.stores.sqlite.locks import SqliteLocks
from modd.stores.sqlite.log_limit import LogLimit
from modd.stores.sqlite.opening import FileOpener, checked_path, connect_file
from modd.stores.sqlite.outbox import SqliteOutbox
from modd.stores.sqlite.positions import Positions
from modd.stores.sqlite.queue import SqliteQueue
from modd.stores.sqlite.readers import Readers
from modd.stores.sqlite.retention import Sweeper
from modd.stores.sqlite.transaction import SqliteTransaction
from modd.stores.sqlite.writer import Writer
from modd.stores.transaction import find_transaction
from modd.stores.waiting import SupportsWake


class SqliteStore:
    """All ports in one SQLite file, with transactions over them: ``async with SqliteStore(path):``.

    Use it when work must survive the process, and one machine is enough. When a call returns, its effect is on the
    disk. Concurrent calls are committed together, so that many of them cost little more than one.

    path: the file; it is created if it is missing, in a folder that exists.
    clock: a function that returns seconds since 1970, the same for all processes that use the file; ``time.time`` by
        default.
    timeout: seconds to wait for a lock of another process, 10 by default.
    retention: seconds for which the inbox remembers an id, 7 days by default; longer than any redelivery takes.
    connect: a function that makes a connection from a path, for a build of SQLite other than that of `sqlite3`, the
        default.

    ``events``, ``cache``, ``locks``, ``inbox`` and ``outbox`` are its implementations of these ports. ``queue(name)``
    returns a queue, ``feed(name)`` a feed, and ``documents(space)`` returns documents.

    Acknowledged items are deleted at once. Expired values of the cache, ended locks, old ids of the inbox and removed
    items of feeds are deleted within a few minutes, in small steps. SQLite uses the freed space again; the file does
    not shrink.

    Raises:
        InvalidOption: an option has no valid value.
        AlreadyOpen: the store is opened a second time.
        modd.ports.StoreError: the file cannot be opened; `modd.stores` has an error for each reason.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time,
        timeout: float = 10.0,
        retention: float = WEEK,
        connect: Callable[[str], Any] | None = None,
    ) -> None:
        self.name = checked_path(path)
        self.clock = checked_callable("clock", clock)
        self._timeout = checked_delay("timeout", timeout)
        self._connect = connect_file if connect is None else checked_callable("connect", connect)
        self._news: set[SupportsWake] = set()
        """The parts that may have more for those who wait, after the commit that is under way."""
        self.events = SqliteEventStore(self, self._news)
        self.cache, self.locks = SqliteCache(self), SqliteLocks(self)
        self.inbox, self.outbox = SqliteInbox(self, checked_span("retention", retention)), SqliteOutbox(self)
        self._feeds: dict[str, SqliteFeed] = {}
        self._sweeper = Sweeper(self, retention, feeds=self._feeds)
        self._queues: dict[str, SqliteQueue] = {}
        self._documents: dict[str, SqliteDocuments] = {}
        self._positions = Positions()
        self._lifespan = Lifespan(self.name)
        self._process = self._thread = 0
        self._loop: Any = None
        self._autocommit: Autocommit | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self.name}>"

    def queue(self, name: str) -> SqliteQueue:
        """Return the queue of this name; its first use creates it. Raises `InvalidOption` unless the name is a text."""
        checked_text("name", name, 'give a text, such as store.queue("orders")')
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = SqliteQueue(self, name, self.outbox, self._positions, self._news)
        return queue

    def documents(self, space: str) -> SqliteDocuments:
        """Return the documents of this space; its first use creates it. Raises `InvalidOption` unless it is a text."""
        documents = self._documents.get(checked_text("space", space, 'give a text, such as store.documents("sales")'))
        if documents is None:
            documents = self._documents[space] = SqliteDocuments(self, space)
        return documents

    def feed(self, name: str, retention: float = 86_400.0, most: int = 100_000) -> SqliteFeed:
        """Return the feed of this name; its first use creates it.

        retention: seconds for which an item is stored, a day by default.
        most: most items that are stored, 100 000 by default; the oldest are removed first.

        Raises `InvalidOption` for a value that cannot work, and for other options than those of an earlier call.
        """
        feed = self._feeds.get(checked_text("name", name, 'give a text, such as store.feed("public")'))
        if feed is None:
            feed = self._feeds[name] = SqliteFeed(self, name, retention, most, self._news)
        options = checked_span("retention", retention), checked_count("most", most)
        check_same_feed(name, *options, (feed.retention, feed.most))
        return feed

    def transaction(
        self, *, immediate: bool = False, max_seconds: float = 5.0
    ) -> AbstractAsyncContextManager[SqliteTransaction]:
        """Return a transaction for ``async with``: its writes are committed at the end of the block, or not at all.

        Calls of the store in the block join it. By default its writes are deferred: they are applied at the end in one
        short commit, and reads see the state of the file at the first read. The cache and the locks are not part of a
        deferred transaction: their writes are visible at once.

        A transaction in a transaction is a savepoint: if it alone fails, its writes are undone.

        immediate: True to write at once, so that the block reads its own writes, the cache and locks take part, and
            calls that need a result work. No other caller can write meanwhile.
        max_seconds: seconds after which an immediate transaction is rolled back, 5 by default.

        Raises:
            ResultNeeded: an immediate transaction is begun in a deferred one.
            TransactionInUse: a task begins one inside the transaction of a different task.
            TransactionTimeout: the block of an immediate transaction took longer than ``max_seconds``.
            StoreClosed: the store is not open.
        """
        outer: SqliteTransaction | None = find_transaction(self)
        if outer is not None:
            outer.check_usable("transaction")
            if immediate and outer.is_deferred:
                raise ResultNeeded("a transaction with immediate=True")
            return outer.savepoint()
        self._check_open()
        if immediate:
            return ImmediateTransaction(self, self._writer, checked_span("max_seconds", max_seconds)).run()
        return DeferredTransaction(self, self._writer, self._readers)

    def access(self, call: str, *, at_once: bool = False) -> Access:
        """Return the access for a call of a part: the open transaction, or `Autocommit`; see `base.Store`."""
        autocommit = self._check_open()
        transaction: SqliteTransaction | None = find_transaction(self)
        if transaction is None or (at_once and transaction.is_deferred):
            return autocommit
        transaction.check_usable(call)
        return transaction

    @property
    def journal(self) -> Journal:
        """The journal mode of the open file, and the reason for it. Raises `StoreClosed`."""
        if self._autocommit is None:
            raise StoreClosed(self.name)
        return self._journal

    async def __aenter__(self) -> Self:
        # in a forked process the loop is not asked: a thread may have had its lock at the fork
        if self._lifespan.is_open and (os.getpid() != self._process or not is_over(self._loop)):
            self._check_process()
        async with self._lifespan.opening() as stack:
            self._lifespan.bind_to_task()
            self._process, self._thread, self._loop = os.getpid(), get_ident(), current_loop()
            stack.callback(self._forget_access)
            loop = start_loop_thread()
            if loop is not None:
                stack.callback(loop.close)
            with translate_errors(self.name):
                await self._open(stack, loop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lifespan.is_open and os.getpid() != self._process:  # forked: the file belongs to the other process
            return
        # without the error, which the task groups on the stack would wrap in a group
        await self._lifespan.close(None, None, None)

    async def _open(self, stack: AsyncExitStack, loop: LoopThread | None) -> None:
        file = await FileOpener(self.name, self._connect, self._timeout, loop).open(stack)
        self._journal, self._positions.nonce = file.journal, file.nonce
        self._writer = writer = Writer(self.name, file.thread, self._on_commit)
        self._log = log = LogLimit(self.name, writer) if file.journal.mode == "wal" else None
        self._readers = Readers(self.name, file.open_reader, log)
        stack.push_async_callback(self._readers.end)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(writer.run)
        stack.callback(writer.close)
        self._autocommit = Autocommit(writer, self._readers)
        background = await stack.enter_async_context(anyio.create_task_group())
        with detached():
            background.start_soon(self._sweeper.run)
            if log is not None:
                background.start_soon(log.run)
        stack.callback(background.cancel_scope.cancel)

    def _check_open(self) -> Autocommit:
        """Return the access outside of transactions. Raises `StoreClosed`, and as `_check_process` does."""
        if self._autocommit is None:
            raise StoreClosed(self.name)
        if not is_running_here(self._loop):  # else the rest holds; to ask for it thrice takes 2 of 60 µs of a message
            self._check_process()
        return self._autocommit

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise StoreForked(self.name, self._process, os.getpid())
        if get_ident() != self._thread:
            raise StoreInOtherThread(self.name)
        check_loop(self.name, self._loop)

    def _on_commit(self) -> None:
        if self._log is not None:
            self._log.check()
        self.outbox.wake()
        while self._news:  # and not all queues, of which there may be thousands
            self._news.pop().wake()

    def _forget_access(self) -> None:
        self._autocommit = None
