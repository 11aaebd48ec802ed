"""The port for transactions: writes that are committed together or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias, runtime_checkable

from modd.ports.errors import NoTransaction

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
"""The values for the placeholders of a statement."""


class Transaction(Protocol):
    """An open transaction, in which your own writes and those of the store are committed together or not at all.

    A handler that has a parameter with this annotation gets the open transaction: ``async def pay(command: Pay,
    tx: Transaction) -> None: await tx.execute("UPDATE accounts ...", (...))``.
    """

    async def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """Execute a statement that writes. Its errors are raised here or when the transaction commits.

        Return the number of changed rows, or None where writes are deferred until the commit.
        """
        ...

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int | None:
        """Execute a statement that inserts, updates or deletes once for each set of parameters, in less time.

        Raises and returns as `execute` does; the number is that of all rows.
        """
        ...

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows."""
        ...

    @property
    def is_usable(self) -> bool:
        """True if the transaction is open and the current task began it."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """Return a block, for ``async with``, whose writes are dropped if it fails; the transaction goes on."""
        ...

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have ``work`` called after the commit, and not at all without one; its errors are logged."""
        ...

    @property
    def local(self) -> dict[Any, Any]:
        """Values for all code that works in the transaction; a savepoint that fails leaves them as they were.

        Use a key that no other module uses, such as an object of yours.
        """
        ...

    def on_end(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have ``work`` called when the transaction is over, committed or not, after the work of `on_commit`.

        It is called even if its savepoint failed, and is shielded from cancellation; its errors are logged.
        """
        ...


@runtime_checkable
class SupportsTransactions(Protocol):
    """A part of a store in which several writes can be one transaction."""

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``.

        Transactions are serializable: one that has read content that changed before its commit writes nothing and ends
        with `Conflict`.

        immediate: True to write at once. No other writer can come first then, so that it never ends with `Conflict`;
            a store on a server keeps none off, and such a transaction may end with `ReadConflict`.
        """
        ...


open_transaction: ContextVar[Transaction | None] = ContextVar("modd_transaction", default=None)
"""The innermost transaction that was begun around the current code.

A task that was started inside of the block keeps it after the end, so ask `Transaction.is_usable`.
"""


def usable_transaction() -> Transaction | None:
    """Return the open transaction, if the current task began it."""
    transaction = open_transaction.get()
    return transaction if transaction is not None and transaction.is_usable else None


def savepoint_if_open() -> AbstractAsyncContextManager[object]:
    """Return a savepoint of the open transaction, or an empty context without one.

    Use it around an attempt whose writes must not stay if it fails.
    """
    transaction = usable_transaction()
    return nullcontext() if transaction is None else transaction.savepoint()


def current_transaction(wanted_by: str) -> Transaction:
    """Return the open transaction. Raises `NoTransaction`, which names ``wanted_by``."""
    transaction = open_transaction.get()
    if transaction is None:
        raise NoTransaction(wanted_by)
    return transaction
