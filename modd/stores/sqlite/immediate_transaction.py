"""Transactions that write at once, on the connection that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, TypeVar

import anyio

from modd.concurrency.blocks import async_block
from modd.ports.transaction import open_transaction
from modd.stores.errors import TransactionTimeout
from modd.stores.sqlite.base import Store
from modd.stores.sqlite.connection import ConnectionThread
from modd.stores.sqlite.errors import translate_errors
from modd.stores.sqlite.savepoint import begin, roll_back, run_in_savepoint, undo_savepoint
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Connection, Operation
from modd.stores.sqlite.transaction import SqliteTransaction
from modd.stores.sqlite.writer import Writer

T = TypeVar("T")


USER_SAVEPOINT = "modd_block"
"""Name of the savepoint of a `SqliteTransaction.savepoint` block."""


class ImmediateTransaction(SqliteTransaction):
    """A transaction that writes at once and reads its own writes. Other writers wait, so that its time is limited."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, store: Store, writer: Writer, max_seconds: float) -> None:
        super().__init__(store)
        self._writer, self._max_seconds = writer, max_seconds
        self._thread: ConnectionThread | None = None

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result."""
        return await self._run(lambda connection: run_in_savepoint(connection, operation, arguments))

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result."""
        return await self.write(operation, *arguments)

    async def read(self, query: Select) -> list[Any]:
        """Return the rows of a statement, the transaction's own writes included."""
        return await self._run(query)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        """Do work on the connection of the transaction, and return its result."""
        assert self._thread is not None  # only reached inside of `run`
        with translate_errors(self.store.name):
            return await self._thread.run(work)

    @async_block
    async def savepoint(self) -> AsyncIterator[SqliteTransaction]:
        """Run a block whose writes are undone if it fails."""
        self.check_usable("savepoint")
        mark = self.mark()
        await self._run(lambda connection: connection.execute(f"SAVEPOINT {USER_SAVEPOINT}"))
        try:
            yield self
        except BaseException:
            self.undo_to(mark)
            await self._run(lambda connection: undo_savepoint(connection, USER_SAVEPOINT))
            raise
        await self._run(lambda connection: connection.execute(f"RELEASE {USER_SAVEPOINT}"))

    @async_block
    async def run(self) -> AsyncIterator[SqliteTransaction]:
        """Run the block on the connection that writes. Raises `TransactionTimeout` after ``max_seconds``."""
        try:
            async with self._writer.reserve() as self._thread:
                token = open_transaction.set(self)
                try:
                    await self._run(begin)
                    with anyio.move_on_after(self._max_seconds) as scope:
                        yield self
                        await self._run(lambda connection: connection.execute("COMMIT"))
                    if scope.cancelled_caught:
                        raise TransactionTimeout(self.store.name, self._max_seconds)
                finally:
                    self.end()
                    open_transaction.reset(token)
                    await self._run(roll_back)
            await self.run_commit_hooks()
        finally:
            await self.run_end_hooks()
