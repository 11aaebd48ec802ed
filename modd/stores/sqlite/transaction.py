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
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from modd.concurrency.cancellation import call
from modd.ports.transaction import Parameters, open_transaction
from modd.stores.sqlite.base import Store
from modd.stores.sqlite.connection import current_task
from modd.stores.sqlite.errors import TransactionInUse
from modd.stores.sqlite.limits import checked_parameters
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Operation
from modd.stores.sqlite.user_sql import UserSelect, checked_sql, execute_statements


class SqliteTransaction(ABC):
    """An open transaction of a `SqliteStore`, as its block uses it; see `modd.ports.Transaction`.

    You get it from `SqliteStore.transaction`, or as the parameter ``tx: Transaction`` of a handler.
    """

    is_deferred: ClassVar[bool]

    def __init__(self, store: Store) -> None:
        self.store, self.is_open = store, True
        self.outer: Any = skip_ended(open_transaction.get())
        """The open transaction around this one, of a different store."""
        self._task: object = current_task()
        self._commit_hooks: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_usable(self) -> bool:
        """True if the transaction is open and the current task began it."""
        return bool(self.is_open and current_task() == self._task)

    def check_usable(self, call: str) -> None:
        """Raise `TransactionInUse` after the end, and outside of the task that began the transaction."""
        if not self.is_usable:
            raise TransactionInUse(call, self.is_open)

    def end(self) -> None:
        """Note that the transaction has ended; tasks that were started inside may refer to it for long."""
        self.is_open, self._task = False, None
        self.outer = skip_ended(self.outer)

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have ``work`` called after the commit, and not at all without one; its errors are logged."""
        self.check_usable("on_commit")
        self._commit_hooks.append(work)

    async def run_commit_hooks(self) -> None:
        """Call the work of `on_commit`; called after the commit."""
        for work in self._commit_hooks:
            try:
                await call(work)
            except Exception:
                logging.getLogger("modd.stores").exception("work that was to be done after a commit failed")

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


def skip_ended(transaction: Any) -> Any:
    """Return the innermost transaction that has not ended, and let go of those around it that have."""
    if transaction is None:  # most of the time; to ask for its class takes a fiftieth of the time of a message
        return None
    first = _first_open(transaction)
    each = first
    while isinstance(each, SqliteTransaction):
        each.outer = _first_open(each.outer)
        each = each.outer
    return first


def _first_open(transaction: Any) -> Any:
    while isinstance(transaction, SqliteTransaction) and not transaction.is_open:
        transaction = transaction.outer
    return transaction


def find_transaction(store: object) -> SqliteTransaction | None:
    """Return the innermost open transaction of a store around the current code, whichever task began it."""
    transaction: Any = open_transaction.get()
    while transaction is not None:
        if getattr(transaction, "store", None) is store and transaction.is_open:
            return transaction  # type: ignore[no-any-return]
        transaction = getattr(transaction, "outer", None)
    return None
