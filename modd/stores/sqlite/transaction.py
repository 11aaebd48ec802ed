"""Writes that are committed together or not at all."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, TypeVar

from modd.ports.transaction import Parameters, open_transaction
from modd.stores.sqlite.errors import TransactionInUse
from modd.stores.sqlite.given import checked_sql
from modd.stores.sqlite.link import current_task
from modd.stores.sqlite.readers import rows_of
from modd.stores.sqlite.sql import Connection, Operation, executed

T = TypeVar("T")


class SqliteTransaction(ABC):
    """A transaction as the task sees it that began it; see `modd.ports.Transaction`."""

    collects: ClassVar[bool] = True

    def __init__(self, store: Any) -> None:
        self.store, self.open = store, True
        self.outer: Any = open_transaction.get()
        """The transaction around it: of another store, or over."""
        self._task = current_task()
        self._after: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_mine(self) -> bool:
        """Whether it is open, and the task that asks is the one that began it."""
        return bool(self.open and current_task() == self._task)

    def check(self, what: str) -> None:
        """Raise `TransactionInUse` in another task than the one that began it, and when it has ended."""
        if not self.is_mine:
            raise TransactionInUse(what, self.open)

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done after the commit, and not at all if there is none; its errors are logged."""
        self.check("on_commit")
        self._after.append(work)

    async def tell(self) -> None:
        """It is committed."""
        for work in self._after:
            try:
                await work()
            except Exception:
                logging.getLogger("modd.stores").exception("what was to be done after a commit failed")

    async def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Have a statement executed that writes, beside what the store writes.

        Raises `modd.errors.InvalidOption` for one that begins or ends transactions, and for one that changes how the
        store writes.
        """
        self.check("execute")
        text = checked_sql(sql)
        given = dict(parameters) if isinstance(parameters, Mapping) else tuple(parameters)  # theirs may change
        await self.note(executed, text, given)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement reads."""
        self.check("fetch")
        return await self.read(rows_of(checked_sql(sql), parameters))

    @abstractmethod
    async def note(self, operation: Operation, *call: Any) -> Any:
        """Have something written with the rest."""

    @abstractmethod
    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Have something written, and get the result now."""

    @abstractmethod
    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something."""

    @abstractmethod
    def part(self) -> AbstractAsyncContextManager[SqliteTransaction]:
        """A block within the block, whose writes are dropped when it alone fails."""
