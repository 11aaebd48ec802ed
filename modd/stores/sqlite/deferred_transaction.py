"""Transactions that apply their writes when their block ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, suppress
from contextvars import Token
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, TypeAlias

from modd.concurrency.blocks import async_block
from modd.errors import NotEntered
from modd.ports.errors import ReadConflict
from modd.ports.transaction import Parameters, open_transaction
from modd.stores.errors import ResultNeeded
from modd.stores.sqlite.base import Store
from modd.stores.sqlite.errors import StoreReadOnly, is_refused_write
from modd.stores.sqlite.readers import FreshReads, Readers
from modd.stores.sqlite.savepoint import one_state, savepoint
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.snapshots import ReadSession
from modd.stores.sqlite.sql import (
    USER_OPERATIONS,
    CallArgs,
    Connection,
    Operation,
    Refused,
    execute_calls,
    may_refuse,
)
from modd.stores.sqlite.transaction import SqliteTransaction
from modd.stores.sqlite.writer import Writer

Reads: TypeAlias = list[tuple[Select, bytes]]
"""Statements that were read, each with the digest of its rows."""


Writes: TypeAlias = list[tuple[Operation, CallArgs]]
"""Calls of operations."""


class DeferredTransaction(SqliteTransaction):
    """A transaction that collects its writes, and applies them when its block ends.

    It reads the state of the file at its first read, without its own writes.
    """

    is_deferred: ClassVar[bool] = True

    # here and not set for each of them: most have no reads
    _stack: AsyncExitStack | None = None
    _token: Token[Any] | None = None
    _snapshot: ReadSession | None = None

    def __init__(self, store: Store, writer: Writer, readers: Readers) -> None:
        super().__init__(store)
        self._writer, self._readers = writer, readers
        self._writes: Writes = []
        self._reads: Reads = []

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

    async def read(self, query: Select) -> list[Any]:
        """Return the rows of a statement in the snapshot; the commit finds out if they have changed."""
        if self._snapshot is None:
            self._stack = AsyncExitStack()
            self._snapshot = await self._stack.enter_async_context(self._readers.snapshot())
        rows, digest = await self._readers.run(self._snapshot, query.with_digest)
        self._reads.append((query, digest))
        return rows

    @async_block
    async def savepoint(self) -> AsyncIterator[SqliteTransaction]:
        """Run a block whose writes are dropped if it fails."""
        self.check_usable("savepoint")
        writes, mark = len(self._writes), self.mark()
        try:
            yield self
        except BaseException:
            del self._writes[writes:]
            self.undo_to(mark)
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
        self._token = None  # it refers to the transaction before
        self.end()
        try:
            if self._stack is not None:
                await self._stack.aclose()
            if error is None:
                commit = self._commit()
                if commit is not None:
                    await commit
                if self._commit_hooks is not None:
                    await self.run_commit_hooks()
        finally:
            if self._end_hooks is not None:
                await self.run_end_hooks()

    def _commit(self) -> Awaitable[object] | None:  # not async: a coroutine more costs a fortieth of a message
        if len(self._writes) == 1 and not self._reads:  # as a call of its own operation, to run with others of its kind
            [(operation, arguments)] = self._writes
            return self._writer.submit(operation, *arguments)
        if self._writes:
            return self._writer.submit(apply_transactions, self._reads, self._writes)
        if len(self._reads) > 1 and isinstance(self._snapshot, FreshReads):
            return self._readers.read(partial(check_in_one_state, self._reads))
        return None


def apply_transactions(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[Refused | None]:
    """Apply deferred transactions; each call has its reads with their digests, and its writes, in order.

    A transaction is refused if the rows of a read have changed, or one of its writes is refused.
    """
    return [_apply(connection, *call) for call in calls]


USER_OPERATIONS.add(apply_transactions)


def _apply(connection: Connection, reads: Reads, writes: Writes) -> Refused | None:
    changed = find_changed(connection, reads)
    if changed is not None:
        return Refused(ReadConflict(changed.title))
    if not any(may_refuse(operation) for operation, _ in writes[1:]):
        return _write(connection, writes, in_savepoint=False)
    refused: Refused | None = None
    with suppress(RefusedLate), savepoint(connection, "modd_transaction"):
        refused = _write(connection, writes, in_savepoint=True)
        if refused is not None:
            raise RefusedLate
    return refused


class RefusedLate(Exception):
    """Undoes the writes of a transaction of which one was refused, perhaps behind others."""


def _write(connection: Connection, writes: Writes, *, in_savepoint: bool) -> Refused | None:
    """Do the writes in order, up to the first that is refused. Raises its error if others before cannot be undone."""
    for number, (operation, arguments) in enumerate(writes):
        [result] = execute_calls(connection, operation, (arguments,))
        if type(result) is Refused:
            if number and not in_savepoint:
                raise result.error
            return result
    return None


def check_in_one_state(reads: Reads, connection: Connection) -> None:
    """Raise `ReadConflict` unless all reads return the same rows as before, in one state of the file."""
    with one_state(connection):
        changed = find_changed(connection, reads)
    if changed is not None:
        raise ReadConflict(changed.title)


def find_changed(connection: Connection, reads: Reads) -> Select | None:
    """Return the first statement whose rows have changed; None if there is none."""
    return next((query for query, digest in reads if query.digest(connection) != digest), None)
