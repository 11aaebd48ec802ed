"""Transactions of a store, deferred and immediate.

A *deferred* transaction collects its writes and applies them in one short commit at its end, so that a slow block holds
no lock. Before, the commit looks if what the block has read is still so. An *immediate* one has a transaction of the
database open during the whole block, so that it reads its own writes and its calls have results; every other writer of
the store waits.

Which transaction a call joins, `modd.stores.transaction` tells.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from modd.ports.transaction import Parameters
from modd.stores.postgres.advisory import LockNames
from modd.stores.postgres.select import ReadStatement
from modd.stores.postgres.session import Operation
from modd.stores.postgres.user_sql import (
    UserSelect,
    checked_parameters,
    checked_rows,
    checked_sql,
    execute_many,
    execute_one,
)
from modd.stores.transaction import StoreTransaction


class Owner(Protocol):
    """The store of a transaction."""

    name: str


class PostgresTransaction(StoreTransaction[Owner]):
    """An open transaction of a `PostgresStore`, as its block uses it; see `modd.ports.Transaction`.

    You get it from `PostgresStore.transaction`, or as the parameter ``tx: Transaction`` of a handler.
    """

    async def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """Execute a statement that writes, in the same commit as the writes of the store.

        sql: with placeholders as psycopg has them: ``%s``, or ``%(name)s``.

        Return the number of changed rows (-1 for a statement that changes none, such as CREATE TABLE) if the
        transaction is immediate; None if its writes are deferred. Raises `modd.errors.InvalidOption` for a statement
        that begins or ends transactions.
        """
        self.check_usable("execute")
        changed: int | None = await self.write(execute_one, checked_sql(sql), checked_parameters(parameters))
        return changed

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int | None:
        """Execute a statement that inserts, updates or deletes once for each set of parameters, in less time.

        Returns and raises as `execute` does; the number is that of all rows.
        """
        self.check_usable("execute_many")
        changed: int | None = await self.write(execute_many, checked_sql(sql), checked_rows(rows))
        return changed

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows."""
        self.check_usable("fetch")
        return await self.read(UserSelect(checked_sql(sql), parameters))

    @abstractmethod
    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation, now or at the commit."""

    async def write_rows(
        self, operation: Operation, rows: Sequence[Any], locks: LockNames, unique: Collection[Any] = ()
    ) -> Any:
        """Run an operation on rows, now or at the commit."""
        return await self.write(operation, rows)

    @abstractmethod
    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation, and return its result."""

    @abstractmethod
    async def read(self, query: ReadStatement) -> list[Any]:
        """Return the rows of a statement."""

    @abstractmethod
    def savepoint(self) -> AbstractAsyncContextManager[PostgresTransaction]:
        """Return a block, for ``async with``, whose writes are dropped if it fails; the transaction goes on."""
