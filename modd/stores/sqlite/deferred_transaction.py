"""Transactions that apply their writes when their block ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from contextvars import Token
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from modd.concurrency.blocks import async_block
from modd.errors import NotEntered
from modd.ports.transaction import Parameters, open_transaction
from modd.stores.sqlite.base import Store
from modd.stores.sqlite.errors import ResultNeeded, StoreReadOnly, is_refused_write
from modd.stores.sqlite.readers import Readers, ReadSession
from modd.stores.sqlite.sql import CallArgs, Connection, Operation
from modd.stores.sqlite.transaction import SqliteTransaction
from modd.stores.sqlite.writer import Writer

T = TypeVar("T")


class DeferredTransaction(SqliteTransaction):
    """A transaction that collects its writes, and applies them when its block ends.

    It reads the state of the file at its first read, without its own writes.
    """

    is_deferred: ClassVar[bool] = True

    def __init__(self, store: Store, writer: Writer, readers: Readers) -> None:
        super().__init__(store)
        self._writer, self._readers = writer, readers
        self._writes: list[tuple[Operation, CallArgs]] = []
        self._stack: AsyncExitStack | None = None
        self._token: Token[Any] | None = None
        self._snapshot: ReadSession | None = None

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Collect one call of an operation for the commit."""
        self._writes.append((operation, arguments))

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Raise `ResultNeeded`, because nothing is written before the commit."""
        raise ResultNeeded(call)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows. Raises `ResultNeeded` for one that writes."""
        try:
            return await super().fetch(sql, parameters)
        except StoreReadOnly as error:
            if not is_refused_write(error.__cause__):
                raise
            raise ResultNeeded("a statement that writes and has rows") from error

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do work that reads the snapshot, and return its result."""
        if self._snapshot is None:
            self._stack = AsyncExitStack()
            self._snapshot = await self._stack.enter_async_context(self._readers.snapshot())
        return await self._readers.run(self._snapshot, work)

    @async_block
    async def savepoint(self) -> AsyncIterator[SqliteTransaction]:
        """Run a block whose writes are dropped if it fails."""
        self.check_usable("savepoint")
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
        if self._token is None:
            raise NotEntered("the transaction")
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


def apply_transactions(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Apply deferred transactions; each call has the list of its writes, in order."""
    for [writes] in calls:
        for operation, arguments in writes:
            operation(connection, (arguments,))
    return [None] * len(calls)
