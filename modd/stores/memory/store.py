"""All ports in the memory of one process, with transactions over all of them. Begin reading here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from threading import Lock
from time import time
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from anyio.lowlevel import checkpoint

from modd.checks import checked_callable, checked_count, checked_span, checked_text
from modd.concurrency.blocks import async_block
from modd.concurrency.lifespan import Lifespan
from modd.core import Gate, hold
from modd.ports.inbox import WEEK
from modd.ports.transaction import open_transaction
from modd.stores.checks import check_same_feed
from modd.stores.errors import ResultNeeded
from modd.stores.memory.access import MemoryAccess
from modd.stores.memory.members import (
    MemberCache,
    MemberDocuments,
    MemberEvents,
    MemberFeed,
    MemberInbox,
    MemberLocks,
    MemberOutbox,
    MemberQueue,
)
from modd.stores.memory.transaction import DeferredMemoryTransaction, ImmediateMemoryTransaction, MemoryTransaction
from modd.stores.transaction import find_transaction
from modd.stores.undo_log import UndoLog

T = TypeVar("T")


BEAT = 256
"""Changes after which other tasks can run: at each change, that would take a fifth of the time of a command."""


class MemoryStore:
    """All ports in the memory of this process, with transactions over them.

    Use it in tests and for data that may be lost with the process, in place of a `SqliteStore`: it has the same parts
    and keeps the same promises. It need not be opened, but may be, with ``async with``, and keeps its content when that
    ends. Loops in several threads may share it.

    A deferred transaction reads the latest commit each time; if something that it has read was changed, its commit
    raises `modd.ports.ReadConflict`. There is no SQL: ``execute`` and ``fetch`` raise `SqlNotSupported`.

    Nothing is waited for here, so a long loop of calls lets other tasks run only now and then: at each read, and at
    every 256th change. A cancellation takes effect there, too.

    clock: a function that returns seconds since 1970, for the ``at`` of events and of items of feeds; ``time.time`` by
        default.
    retention: seconds for which the inbox remembers an id, 7 days by default; longer than any redelivery takes.

    ``events``, ``cache``, ``locks``, ``inbox`` and ``outbox`` are its implementations of these ports. ``queue(name)``
    returns a queue, ``documents(space)`` returns documents, and ``feed(name)`` returns a feed. A feed can be followed
    when the store is closed, too, because it keeps its content.

    Raises:
        InvalidOption: an option has no valid value.
        AlreadyOpen: the store is opened a second time.
    """

    name = "memory"

    def __init__(self, *, clock: Callable[[], float] = time, retention: float = WEEK) -> None:
        self.clock = checked_callable("clock", clock)
        self.undo_log = UndoLog()
        self._lock = Lock()
        self._gate = Gate("an immediate transaction of a MemoryStore")
        self._is_reserved = False
        self._changes = 0
        self._lifespan = Lifespan(repr(self))
        self._autocommit = MemoryAutocommit(self)
        self.events, self.cache, self.locks = MemberEvents(self, self.clock), MemberCache(self), MemberLocks(self)
        self.inbox, self.outbox = MemberInbox(self, checked_span("retention", retention)), MemberOutbox(self)
        self._queues: dict[str, MemberQueue] = {}
        self._documents: dict[str, MemberDocuments] = {}
        self._feeds: dict[str, MemberFeed] = {}

    def __repr__(self) -> str:
        return "<MemoryStore>"

    def queue(self, name: str) -> MemberQueue:
        """Return the queue of this name; its first use creates it. Raises `InvalidOption` unless the name is a text."""
        checked_text("name", name, 'give a text, such as store.queue("orders")')
        queue = self._queues.get(name)
        return self._queues.setdefault(name, MemberQueue(self, name)) if queue is None else queue

    def documents(self, space: str) -> MemberDocuments:
        """Return the documents of this space; its first use creates it. Raises `InvalidOption` unless it is a text."""
        documents = self._documents.get(checked_text("space", space, 'give a text, such as store.documents("sales")'))
        return self._documents.setdefault(space, MemberDocuments(self, space)) if documents is None else documents

    def feed(self, name: str, retention: float = 86_400.0, most: int = 100_000) -> MemberFeed:
        """Return the feed of this name; its first use creates it. Give the same options each time.

        retention: seconds for which an item is stored, a day by default.
        most: most items that are stored, 100 000 by default.

        Raises:
            InvalidOption: an option has a value that cannot work, or a different one than at the first call.
        """
        checked_text("name", name, 'give a text, such as store.feed("public")')
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds.setdefault(name, MemberFeed(self, name, retention, most))
        check_same_feed(name, checked_span("retention", retention), checked_count("most", most), feed.options)
        return feed

    def transaction(
        self, *, immediate: bool = False, max_seconds: float = 5.0
    ) -> AbstractAsyncContextManager[MemoryTransaction]:
        """Return a transaction for ``async with``: its changes are made at the end of the block, or not at all.

        Calls of the store in the block join it. By default they are deferred; the cache and the locks are not part of
        a deferred transaction. A transaction in a transaction is a savepoint: if it alone fails, that is undone.

        immediate: True to change at once, so that the block reads its own changes, the cache and locks take part, and
            calls that need a result work. No other caller can change anything meanwhile.
        max_seconds: seconds after which an immediate transaction is rolled back, 5 by default.

        Raises:
            ResultNeeded: an immediate transaction is begun in a deferred one.
            TransactionInUse: a task begins one inside the transaction of a different task.
            TransactionTimeout: the block of an immediate transaction took longer than ``max_seconds``.
        """
        outer = self._find_transaction()
        if outer is not None:
            outer.check_usable("transaction")
            if immediate and outer.is_deferred:
                raise ResultNeeded("a transaction with immediate=True")
            return outer.savepoint()
        if immediate:
            return ImmediateMemoryTransaction(self, checked_span("max_seconds", max_seconds)).run()
        return DeferredMemoryTransaction(self)

    def access(self, call: str, *, at_once: bool = False) -> MemoryAccess:
        """Return the access for a call of a part: the open transaction, or each call alone."""
        transaction = None if open_transaction.get() is None else self._find_transaction()
        if transaction is None or (at_once and transaction.is_deferred):
            return self._autocommit
        transaction.check_usable(call)
        return transaction

    async def run(self, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that changes parts, when no immediate transaction is open. Raises `Deadlock`."""
        self._changes += 1
        if self._changes % BEAT == 0:
            await checkpoint()
        with self._lock:
            if not self._is_reserved:
                return operation(*arguments)
        async with hold(self._gate):
            with self._lock:
                return operation(*arguments)

    async def run_read(self, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that reads parts in the state before the immediate transaction that is open."""
        await checkpoint()
        with self._lock:
            if not self._is_reserved:
                return operation(*arguments)
            with self.undo_log.undone():
                return operation(*arguments)

    async def run_inside(self, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function in the immediate transaction that is open."""
        await checkpoint()
        with self._lock:
            return operation(*arguments)

    @async_block
    async def reserve(self) -> AsyncIterator[None]:
        """Let no other change parts for the block; at its end, changes that the undo log still has are undone."""
        async with hold(self._gate):
            with self._lock:
                self._is_reserved = True
                self.undo_log.begin()
            try:
                yield
            finally:
                with self._lock:
                    self.undo_log.undo()
                    self.undo_log.end()
                    self._is_reserved = False

    async def __aenter__(self) -> Self:
        async with self._lifespan.opening():
            return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lifespan.close(None, None, None)

    def _find_transaction(self) -> DeferredMemoryTransaction | ImmediateMemoryTransaction | None:
        transaction: DeferredMemoryTransaction | ImmediateMemoryTransaction | None = find_transaction(self)
        return transaction


class MemoryAutocommit:
    """The access outside of a transaction: each call acts at once."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, store: MemoryStore) -> None:
        self.write, self._store = store.run, store

    async def write_for_result(self, call: str, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that changes a part, and return its result."""
        return await self._store.run(operation, *arguments)

    async def read(self, title: str, operation: Callable[..., T], *arguments: Any, version: Any = None) -> T:
        """Run a function that reads a part, and return its result."""
        return await self._store.run_read(operation, *arguments)
