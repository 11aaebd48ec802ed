"""Transactions without SQL that collect their writes, and make them when their block ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextvars import Token
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from modd.concurrency.blocks import async_block
from modd.errors import NotEntered
from modd.ports.transaction import open_transaction
from modd.stores.errors import ResultNeeded
from modd.stores.transaction import StoreTransaction

S = TypeVar("S")


class CollectingTransaction(StoreTransaction[S]):
    """A transaction that collects its writes, and makes them when its block ends. It does not read its own.

    A derived class says how, in ``_commit``.
    """

    is_deferred: ClassVar[bool] = True
    _token: Token[Any] | None = None

    def __init__(self, store: S) -> None:
        super().__init__(store)
        self._writes: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    async def write(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Collect a write for the commit."""
        self._writes.append((operation, arguments))

    async def write_for_result(self, call: str, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Raise `ResultNeeded`, because nothing is written before the commit."""
        raise ResultNeeded(call)

    @async_block
    async def savepoint(self) -> AsyncIterator[Self]:
        """Run a block whose writes are dropped if it fails."""
        self.check_usable("savepoint")
        writes, mark = len(self._writes), self.mark()
        try:
            yield self
        except BaseException:
            del self._writes[writes:]
            self.undo_to(mark)
            raise

    async def __aenter__(self) -> Self:
        self._token = open_transaction.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is None:
            raise NotEntered("the transaction")
        open_transaction.reset(self._token)
        self._token = None
        self.end()
        try:
            if error is None:
                await self._commit()
                await self.run_commit_hooks()
        finally:
            await self.run_end_hooks()

    @abstractmethod
    async def _commit(self) -> None:
        """Make the writes, or raise."""
