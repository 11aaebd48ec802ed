"""Transactions of a store, deferred and immediate.

A *deferred* transaction collects its writes and applies them in one short commit at its end, so that a slow block
blocks no other writer. An *immediate* one has the connection that writes during the whole block, so that it reads its
own writes and its calls have results; every other writer waits.

Example: two tasks each open a deferred transaction, put an item and sleep. Nothing is written meanwhile. The first
block that ends submits its list of writes to the writer as one call; if the other ends at the same moment, both lists
are in one commit. With ``immediate=True`` the second task would wait for the end of the first block.

Which transaction a call joins: `open_transaction`, a context variable, has the innermost transaction that was begun.
A task that was started inside a block has a copy of the variable for ever, also after the block. Therefore a
transaction knows whether it is open (`SqliteTransaction.is_open`) and which one is around it (`outer`), and
`find_transaction` walks outwards to the first one that is open and of the right store.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import anyio

from modd.ports.transaction import Parameters, open_transaction
from modd.stores.sqlite.connection import ConnectionThread, current_task
from modd.stores.sqlite.errors import (
    AnswerNeeded,
    StoreReadOnly,
    TransactionInUse,
    TransactionTimeout,
    is_refused_write,
    translate_errors,
)
from modd.stores.sqlite.readers import Readers
from modd.stores.sqlite.savepoint import begin, roll_back, run_in_savepoint, undo_savepoint
from modd.stores.sqlite.sql import Arguments, Connection, Operation, select
from modd.stores.sqlite.user_sql import checked_sql, execute_statements
from modd.stores.sqlite.writer import Writer

T = TypeVar("T")


USER_SAVEPOINT = "modd_block"
"""Name of the savepoint of a `SqliteTransaction.savepoint` block."""


class SqliteTransaction(ABC):
    """An open transaction of a `SqliteStore`, as its block uses it; see `modd.ports.Transaction`.

    You get it from `SqliteStore.transaction`, or as the parameter ``tx: Transaction`` of a handler.
    """

    is_deferred: ClassVar[bool] = True

    def __init__(self, store: Any) -> None:
        self.store, self.is_open = store, True
        self.outer: Any = open_transaction.get()
        """The transaction around this one: of another store, or one that has ended."""
        self._task = current_task()
        self._commit_hooks: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_usable(self) -> bool:
        """True if the transaction is open and the current task began it."""
        return bool(self.is_open and current_task() == self._task)

    def check_usable(self, call: str) -> None:
        """Raise `TransactionInUse` after the end, and in another task than the one that began the transaction."""
        if not self.is_usable:
            raise TransactionInUse(call, self.is_open)

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have ``work`` called after the commit, and not at all without one; its errors are logged."""
        self.check_usable("on_commit")
        self._commit_hooks.append(work)

    async def run_commit_hooks(self) -> None:
        """Call the work of `on_commit`; called after the commit."""
        for work in self._commit_hooks:
            try:
                await work()
            except Exception:
                logging.getLogger("modd.stores").exception("work that was to be done after a commit failed")

    async def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Execute a statement that writes, in the same commit as the writes of the store.

        Raises `modd.errors.InvalidOption` for a statement that begins or ends transactions, or that changes how the
        store writes.
        """
        self.check_usable("execute")
        statement = checked_sql(sql)
        # copied, because the caller may change them before the commit
        values = dict(parameters) if isinstance(parameters, Mapping) else tuple(parameters)
        await self.write(execute_statements, statement, values)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows."""
        self.check_usable("fetch")
        return await self.read(select(checked_sql(sql), parameters))

    @abstractmethod
    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, now or at the commit."""

    @abstractmethod
    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result."""

    @abstractmethod
    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do work that reads, and return its result."""

    @abstractmethod
    def savepoint(self) -> AbstractAsyncContextManager[SqliteTransaction]:
        """Return a block, for ``async with``, whose writes are dropped if it fails; the transaction goes on."""


class DeferredTransaction(SqliteTransaction):
    """A transaction that collects its writes, and applies them when its block ends.

    It reads the state of the file at its first read, without its own writes.
    """

    def __init__(self, store: Any, writer: Writer, readers: Readers) -> None:
        super().__init__(store)
        self._writer, self._readers = writer, readers
        self._writes: list[tuple[Operation, Arguments]] = []
        self._stack: AsyncExitStack | None = None
        self._snapshot: ConnectionThread | None = None

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Collect one call of an operation for the commit."""
        self._writes.append((operation, arguments))

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Raise `AnswerNeeded`, because nothing is written before the commit."""
        raise AnswerNeeded(call)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows. Raises `AnswerNeeded` for one that writes."""
        try:
            return await super().fetch(sql, parameters)
        except StoreReadOnly as error:
            if not is_refused_write(error.__cause__):
                raise
            raise AnswerNeeded("a statement that writes and has rows") from error

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do work that reads the snapshot, and return its result."""
        if self._snapshot is None:
            self._stack = AsyncExitStack()
            self._snapshot = await self._stack.enter_async_context(self._readers.snapshot())
        return await self._readers.run(self._snapshot, work)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[SqliteTransaction]:
        """Run a block whose writes are dropped if it fails."""
        writes, hooks = len(self._writes), len(self._commit_hooks)
        try:
            yield self
        except BaseException:
            del self._writes[writes:], self._commit_hooks[hooks:]
            raise

    # methods and not a generator, which would take as long as the block of a worker
    async def __aenter__(self) -> SqliteTransaction:
        self._token = open_transaction.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        open_transaction.reset(self._token)
        self.is_open = False
        if self._stack is not None:
            await self._stack.aclose()
        if error is None:
            await self._commit()
            await self.run_commit_hooks()

    async def _commit(self) -> None:
        if len(self._writes) == 1:  # as a call of its own operation, so that it runs with others of its kind
            [(operation, arguments)] = self._writes
            await self._writer.submit(operation, *arguments)
        elif self._writes:
            await self._writer.submit(apply_transactions, self._writes)


def apply_transactions(connection: Connection, calls: Sequence[Arguments]) -> Sequence[None]:
    """Apply deferred transactions; each call has the list of its writes, in order."""
    for [writes] in calls:
        for operation, arguments in writes:
            operation(connection, (arguments,))
    return [None] * len(calls)


class ImmediateTransaction(SqliteTransaction):
    """A transaction that writes at once and reads its own writes. Other writers wait, so that its time is limited."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, store: Any, writer: Writer, max_seconds: float) -> None:
        super().__init__(store)
        self._writer, self._max_seconds = writer, max_seconds
        self._thread: ConnectionThread | None = None

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result."""
        return await self.read(lambda connection: run_in_savepoint(connection, operation, arguments))

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result."""
        return await self.write(operation, *arguments)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do work on the connection of the transaction, and return its result."""
        assert self._thread is not None  # only reached inside of `run`
        with translate_errors(self.store.name):
            return await self._thread.run(work)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[SqliteTransaction]:
        """Run a block whose writes are undone if it fails."""
        hooks = len(self._commit_hooks)
        await self.read(lambda connection: connection.execute(f"SAVEPOINT {USER_SAVEPOINT}"))
        try:
            yield self
        except BaseException:
            del self._commit_hooks[hooks:]
            await self.read(lambda connection: undo_savepoint(connection, USER_SAVEPOINT))
            raise
        await self.read(lambda connection: connection.execute(f"RELEASE {USER_SAVEPOINT}"))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[SqliteTransaction]:
        """Run the block on the connection that writes. Raises `TransactionTimeout` after ``max_seconds``."""
        async with self._writer.reserve() as self._thread:
            token = open_transaction.set(self)
            try:
                await self.read(begin)
                with anyio.move_on_after(self._max_seconds) as scope:
                    yield self
                    await self.read(lambda connection: connection.execute("COMMIT"))
                if scope.cancelled_caught:
                    raise TransactionTimeout(self.store.name, self._max_seconds)
            finally:
                self.is_open = False
                open_transaction.reset(token)
                await self.read(roll_back)
        await self.run_commit_hooks()


def find_transaction(store: object) -> SqliteTransaction | None:
    """Return the innermost open transaction of a store around the current code, whichever task began it."""
    transaction: Any = open_transaction.get()
    while transaction is not None:
        if isinstance(transaction, SqliteTransaction) and transaction.store is store and transaction.is_open:
            return transaction
        transaction = getattr(transaction, "outer", None)
    return None
