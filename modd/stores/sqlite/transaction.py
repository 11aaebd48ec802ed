"""Transactions of a store, deferred and immediate.

A *deferred* transaction collects its writes and applies them in one short commit at its end, so that a slow block
blocks no other writer. An *immediate* one has the connection that writes during the whole block, so that it reads its
own writes and its calls have results; every other writer waits.

Example: two tasks each open a deferred transaction, put an item and sleep. Nothing is written meanwhile. The first
block that ends submits its list of writes to the writer as one call; if the other ends at the same moment, both lists
are in one commit. With ``immediate=True`` the second task would wait for the end of the first block.

Which transaction a call joins, `modd.stores.transaction` tells.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from modd.ports.transaction import Parameters
from modd.stores.sqlite.base import Store
from modd.stores.sqlite.limits import checked_parameters, checked_rows
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Operation
from modd.stores.sqlite.user_sql import UserSelect, checked_sql, execute_statements, repeat_statements
from modd.stores.transaction import StoreTransaction


class SqliteTransaction(StoreTransaction[Store]):
    """An open transaction of a `SqliteStore`, as its block uses it; see `modd.ports.Transaction`.

    You get it from `SqliteStore.transaction`, or as the parameter ``tx: Transaction`` of a handler.
    """

    async def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """Execute a statement that writes, in the same commit as the writes of the store.

        Return the number of changed rows (-1 for a statement that changes no rows, such as CREATE TABLE) if the
        transaction is immediate; None if its writes are deferred.

        Raises `modd.errors.InvalidOption` for a statement that begins or ends transactions, or that changes how the
        store writes, and for a parameter beyond the limits of SQLite.
        """
        self.check_usable("execute")
        statement = checked_sql(sql)
        changed: int | None = await self.write(execute_statements, statement, checked_parameters(parameters))
        return changed

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int | None:
        """Execute a statement that inserts, updates or deletes once for each set of parameters.

        Many rows take a third of the time of as many calls of `execute`. Returns and raises as that does.
        """
        self.check_usable("execute_many")
        statement = checked_sql(sql)
        changed: int | None = await self.write(repeat_statements, statement, checked_rows(rows))
        return changed

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows."""
        self.check_usable("fetch")
        return await self.read(UserSelect(checked_sql(sql), checked_parameters(parameters)))

    @abstractmethod
    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, now or at the commit."""

    @abstractmethod
    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result."""

    @abstractmethod
    async def read(self, query: Select) -> list[Any]:
        """Return the rows of a statement."""

    @abstractmethod
    def savepoint(self) -> AbstractAsyncContextManager[SqliteTransaction]:
        """Return a block, for ``async with``, whose writes are dropped if it fails; the transaction goes on."""
