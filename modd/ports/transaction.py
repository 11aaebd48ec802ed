"""The port for writes that are done together or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias, runtime_checkable

from modd.ports.errors import NoTransaction

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
"""What stands for the placeholders of a statement."""


class Transaction(Protocol):
    """Writes of your own beside those of the store: they are committed together or not at all.

    A handler that has a parameter with this annotation gets the transaction that is open: ``async def pay(command: Pay,
    tx: Transaction) -> None: await tx.execute("UPDATE accounts ...", (...))``.
    """

    async def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Have a statement executed that writes. Its errors are raised here or when the transaction commits."""
        ...

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement reads."""
        ...

    @property
    def is_mine(self) -> bool:
        """Whether it is open, and the task that asks is the one that began it."""
        ...

    def part(self) -> AbstractAsyncContextManager[object]:
        """A block within it, whose writes are dropped when it alone fails."""
        ...

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done after the commit, and not at all if there is none; its errors are logged."""
        ...


@runtime_checkable
class Transactional(Protocol):
    """A part of a store in which several writes can be one transaction."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of the whole store, for the block that it is entered for."""
        ...


open_transaction: ContextVar[Transaction | None] = ContextVar("modd_transaction", default=None)
"""The transaction that was begun here and has not ended."""


def transaction_here() -> Transaction | None:
    """The open transaction, where the task that asks is the one that began it."""
    transaction = open_transaction.get()
    return transaction if transaction is not None and transaction.is_mine else None


def part_here() -> AbstractAsyncContextManager[object]:
    """A part of the open transaction, for an attempt whose writes must not stay when it fails."""
    transaction = transaction_here()
    return nullcontext() if transaction is None else transaction.part()


def current_transaction(wanted_by: str) -> Transaction:
    """The open transaction. Raises `NoTransaction`."""
    transaction = open_transaction.get()
    if transaction is None:
        raise NoTransaction(wanted_by)
    return transaction
