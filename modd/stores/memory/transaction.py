"""Transactions in memory, deferred and immediate, with the isolation of those in a file.

A *deferred* transaction collects its changes and makes them at its end, all at once, if all that it has read is still
the same. An *immediate* one makes changes at once, and all other changes wait for its end; others read the state before
it meanwhile (see `modd.stores.undo_log`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import anyio

from modd.concurrency.blocks import async_block
from modd.ports.errors import ReadConflict
from modd.ports.transaction import Parameters, open_transaction
from modd.stores.collecting_transaction import CollectingTransaction
from modd.stores.errors import SqlNotSupported, TransactionTimeout
from modd.stores.transaction import StoreTransaction
from modd.stores.undo_log import UndoLog

T = TypeVar("T")


class TransactionalMemory(Protocol):
    """The part of `MemoryStore` that its transactions use."""

    name: str

    @property
    def undo_log(self) -> UndoLog:
        """The undo log of all parts."""
        ...

    async def run(self, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that changes parts, when no immediate transaction is open."""
        ...

    async def run_read(self, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that reads parts in the state before the immediate transaction that is open."""
        ...

    async def run_inside(self, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function in the immediate transaction that is open."""
        ...

    def reserve(self) -> AbstractAsyncContextManager[None]:
        """Let no other change parts for the block; at its end, changes that the undo log still has are undone."""
        ...


class MemoryTransaction(StoreTransaction[TransactionalMemory]):
    """An open transaction of a `MemoryStore`; see `modd.ports.Transaction`. It has no SQL."""

    async def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """Raise `SqlNotSupported`."""
        raise SqlNotSupported("execute")

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int | None:
        """Raise `SqlNotSupported`."""
        raise SqlNotSupported("execute_many")

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Raise `SqlNotSupported`."""
        raise SqlNotSupported("fetch")


class MemoryRead(NamedTuple):
    """A read of a transaction: a function, and its result by which a later change is found."""

    title: str
    operation: Callable[..., Any]
    arguments: tuple[Any, ...]
    result: Any

    def has_changed(self) -> bool:
        """True if the function returns something else now."""
        return bool(self.operation(*self.arguments) != self.result)


class DeferredMemoryTransaction(CollectingTransaction[TransactionalMemory], MemoryTransaction):
    """A transaction that collects its changes, and makes them when its block ends. It does not read its own."""

    def __init__(self, store: TransactionalMemory) -> None:
        super().__init__(store)
        self._reads: list[MemoryRead] = []

    async def read(self, title: str, operation: Callable[..., T], *arguments: Any, version: Any = None) -> T:
        """Run a function that reads; the commit finds out if its result has changed."""
        result: T
        result, state = await self.store.run_read(_read, operation, version, arguments)
        self._reads.append(MemoryRead(title, version or operation, arguments, state))
        return result

    async def _commit(self) -> None:
        if self._writes:
            await self.store.run(self._apply)
        elif len(self._reads) > 1:  # in one state
            await self.store.run_read(self._check)

    def _check(self) -> None:
        """Raise `ReadConflict` if something that was read has changed."""
        for read in self._reads:
            if read.has_changed():
                raise ReadConflict(read.title)

    def _apply(self) -> None:
        """Make all changes, or none."""
        self._check()
        undo_log = self.store.undo_log
        undo_log.begin()
        try:
            for operation, arguments in self._writes:
                operation(*arguments)
        except BaseException:
            undo_log.undo()
            raise
        finally:
            undo_log.end()


class ImmediateMemoryTransaction(MemoryTransaction):
    """A transaction that makes changes at once and reads them. Other changes wait, so that its time is limited."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, store: TransactionalMemory, max_seconds: float) -> None:
        super().__init__(store)
        self._max_seconds = max_seconds

    async def write(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function that changes parts, and return its result."""
        return await self.store.run_inside(operation, *arguments)

    async def write_for_result(self, call: str, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that changes parts, and return its result."""
        return await self.store.run_inside(operation, *arguments)

    async def read(self, title: str, operation: Callable[..., T], *arguments: Any, version: Any = None) -> T:
        """Run a function that reads, the changes of the transaction included."""
        return await self.store.run_inside(operation, *arguments)

    @async_block
    async def savepoint(self) -> AsyncIterator[MemoryTransaction]:
        """Run a block whose changes are undone if it fails."""
        self.check_usable("savepoint")
        changes, mark = self.store.undo_log.mark(), self.mark()
        try:
            yield self
        except BaseException:
            self.store.undo_log.undo(changes)
            self.undo_to(mark)
            raise

    @async_block
    async def run(self) -> AsyncIterator[MemoryTransaction]:
        """Run the block while no other changes anything. Raises `TransactionTimeout` after ``max_seconds``."""
        try:
            async with self.store.reserve():
                token = open_transaction.set(self)
                try:
                    with anyio.move_on_after(self._max_seconds) as scope:
                        yield self
                        await self.store.run_inside(self.store.undo_log.end)
                    if scope.cancelled_caught:
                        raise TransactionTimeout(self.store.name, self._max_seconds)
                finally:
                    self.end()
                    open_transaction.reset(token)
            await self.run_commit_hooks()
        finally:
            await self.run_end_hooks()


def _read(operation: Callable[..., T], version: Any, arguments: tuple[Any, ...]) -> tuple[T, Any]:
    """Return the result of a read, and that of its version."""
    result = operation(*arguments)
    return result, result if version is None else version(*arguments)
