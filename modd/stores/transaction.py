"""The transaction that is open around the current code, for each store.

`open_transaction`, a context variable, has the innermost transaction that was begun. A task that was started inside a
block has a copy of the variable for ever, also after the block. Therefore a transaction knows whether it is open
(`StoreTransaction.is_open`) and which one is around it (`outer`), and `find_transaction` walks outwards to the first
one that is open and of the right store.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import anyio

from modd.concurrency.cancellation import call
from modd.concurrency.loops import current_task
from modd.ports.transaction import Parameters, Transaction, open_transaction
from modd.stores.errors import TransactionInUse

S = TypeVar("S")


Work: TypeAlias = Callable[[], Awaitable[None]]
"""A function without arguments, to be awaited."""


Mark: TypeAlias = tuple[int, dict[Any, Any] | None]
"""The state of a transaction at a savepoint: the number of its `on_commit` hooks, and a copy of ``local``."""


class StoreTransaction(ABC, Generic[S]):
    """An open transaction of a store, as its block uses it; see `modd.ports.Transaction`.

    You get it from ``store.transaction()``, or as the parameter ``tx: Transaction`` of a handler.
    """

    is_deferred: ClassVar[bool]

    # here and not set for each of them: most have none
    _local: dict[Any, Any] | None = None
    _commit_hooks: list[Work] | None = None
    _end_hooks: list[Work] | None = None

    def __init__(self, store: S) -> None:
        self.store, self.is_open = store, True
        self.outer: Any = skip_ended(open_transaction.get())
        """The open transaction around this one, of a different store."""
        self._task: object = current_task()

    @property
    def is_usable(self) -> bool:
        """True if the transaction is open and the current task began it."""
        return bool(self.is_open and current_task() == self._task)

    def check_usable(self, call: str) -> None:
        """Raise `TransactionInUse` after the end, and outside of the task that began the transaction."""
        if not self.is_usable:
            raise TransactionInUse(call, self.is_open)

    @property
    def local(self) -> dict[Any, Any]:
        """Values for all code that works in the transaction; a savepoint that fails leaves them as they were."""
        if self._local is None:
            self._local = {}
        return self._local

    def on_commit(self, work: Work) -> None:
        """Have ``work`` called after the commit, and not at all without one; its errors are logged."""
        self.check_usable("on_commit")
        if self._commit_hooks is None:
            self._commit_hooks = []
        self._commit_hooks.append(work)

    def on_end(self, work: Work) -> None:
        """Have ``work`` called when the transaction is over, committed or not, after the work of `on_commit`.

        It is called after a savepoint that failed, too, and shielded from cancellation; its errors are logged.
        """
        self.check_usable("on_end")
        if self._end_hooks is None:
            self._end_hooks = []
        self._end_hooks.append(work)

    def end(self) -> None:
        """Note that the transaction has ended; tasks that were started inside may refer to it for long."""
        self.is_open, self._task = False, None
        self.outer = skip_ended(self.outer)

    async def run_commit_hooks(self) -> None:
        """Call the work of `on_commit`; called after the commit."""
        await _run_all(self._commit_hooks or (), "a commit")

    async def run_end_hooks(self) -> None:
        """Call the work of `on_end`; called when everything else is done."""
        if self._end_hooks:
            with anyio.CancelScope(shield=True):
                await _run_all(self._end_hooks, "the end of a transaction")

    def mark(self) -> Mark:
        """Return the state to which `undo_to` goes back."""
        return len(self._commit_hooks or ()), None if self._local is None else self._local.copy()

    def undo_to(self, mark: Mark) -> None:
        """Drop what has happened since a mark, for a savepoint that fails."""
        hooks, local = mark
        if self._commit_hooks is not None:
            del self._commit_hooks[hooks:]
        if self._local is not None:
            self._local.clear()
            self._local.update(local or {})

    @abstractmethod
    async def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """Execute a statement that writes."""

    @abstractmethod
    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int | None:
        """Execute a statement that writes once for each set of parameters."""

    @abstractmethod
    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows."""

    @abstractmethod
    def savepoint(self) -> AbstractAsyncContextManager[Transaction]:
        """Return a block, for ``async with``, whose writes are dropped if it fails; the transaction goes on."""


async def _run_all(hooks: Sequence[Work], moment: str) -> None:
    for work in hooks:
        try:
            await call(work)
        except Exception:
            logging.getLogger("modd.stores").exception("work that was to be done after %s failed", moment)


def skip_ended(transaction: Any) -> Any:
    """Return the innermost transaction that has not ended, and let go of those around it that have."""
    if transaction is None:  # most of the time; to ask for its class takes a fiftieth of the time of a message
        return None
    first = _first_open(transaction)
    each = first
    while isinstance(each, StoreTransaction):
        each.outer = _first_open(each.outer)
        each = each.outer
    return first


def _first_open(transaction: Any) -> Any:
    while isinstance(transaction, StoreTransaction) and not transaction.is_open:
        transaction = transaction.outer
    return transaction


def find_transaction(store: object) -> Any:
    """Return the innermost open transaction of a store around the current code, whichever task began it; else None."""
    transaction: Any = open_transaction.get()
    while transaction is not None:
        if getattr(transaction, "store", None) is store and transaction.is_open:
            return transaction
        transaction = getattr(transaction, "outer", None)
    return None
