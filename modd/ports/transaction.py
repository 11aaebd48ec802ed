"""The port for writes that are done together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
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


@runtime_checkable
class Transactional(Protocol):
    """A part of a store in which several writes can be one transaction."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of the whole store, for the block that it is entered for."""
        ...


open_transaction: ContextVar[Transaction | None] = ContextVar("modd_transaction", default=None)
"""The transaction that was begun here and has not ended."""


def current_transaction(wanted_by: str) -> Transaction:
    """The open transaction. Raises `NoTransaction`."""
    transaction = open_transaction.get()
    if transaction is None:
        raise NoTransaction(wanted_by)
    return transaction
