"""The base classes of the store's parts, and the access to the file that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

import anyio

from modd.concurrency.backoff import spread
from modd.ports.transaction import Transaction
from modd.stores.sqlite.readers import Readers
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Operation
from modd.stores.sqlite.writer import Writer
from modd.stores.waiting import Notifier


class Access(Protocol):
    """Reads and writes of the file, outside of a transaction or in the open one."""

    is_deferred: ClassVar[bool]
    """True if writes are applied only when the transaction commits, so that they have no result before."""

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result; None where writes are deferred."""
        ...

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result.

        Raises `ResultNeeded`, which names the ``call``, where writes are deferred.
        """
        ...

    async def read(self, query: Select) -> list[Any]:
        """Return the rows of a statement."""
        ...


class Autocommit:
    """`Access` outside of a transaction: each write is committed before it returns, together with concurrent ones."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self.write, self._readers = writer.submit, readers

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run one call of an operation, and return its result."""
        return await self.write(operation, *arguments)

    async def read(self, query: Select) -> list[Any]:
        """Return the committed rows of a statement."""
        return await self._readers.read(query)


class Store(Protocol):
    """The part of `SqliteStore` that its queues, events, cache, locks, inbox and outbox use."""

    name: str
    clock: Callable[[], float]

    def access(self, call: str, *, at_once: bool = False) -> Access:
        """Return the access for a call: the open transaction, or `Autocommit`.

        call: its name, for errors. at_once: not in a transaction that defers its writes, because other processes must
        see the effect at once. Raises `modd.ports.StoreError` and `TransactionInUse`.
        """
        ...

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``."""
        ...


class StorePart:
    """A part of a store, such as its inbox, whose calls join the open transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._store.name}>"

    @property
    def store(self) -> Store:
        """The store; parts of the same one can be in one transaction."""
        return self._store

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``; see `SqliteStore.transaction`."""
        return self._store.transaction(immediate=immediate)


RECHECK = 0.1
"""Seconds between two looks of a task that waits for items, for items that other processes have written."""


LOOK_JITTER = 0.25
"""Share by which these seconds differ, so that tasks and processes do not look in step."""


def next_look() -> float:
    """Return the time of the loop at which a task that waits looks again."""
    return anyio.current_time() + spread(RECHECK, LOOK_JITTER)


class Claimable(StorePart, ABC):
    """A part from which items are claimed, and that can be waited at until there are some."""

    notifies_only_claimable: ClassVar[bool] = False
    """True if `wake` is called only when there may be something to claim, so that no look is needed after it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._notifier = Notifier()
        self._is_drained = False
        """True if the last claim left nothing, and this process has written nothing since."""

    async def wait(self, seconds: float) -> None:
        """Return as soon as there may be something to claim, at the latest after ``seconds``."""
        await self._wait(seconds, self.is_claimable, is_empty=self._is_drained)

    async def _wait(self, seconds: float, look: Callable[[], Awaitable[bool]], *, is_empty: bool) -> None:
        trust_notify = self.notifies_only_claimable
        await self._notifier.wait(seconds, look, next_look, is_empty=is_empty, trust_notify=trust_notify)

    def wake(self) -> None:
        """Wake the tasks that wait, after a commit."""
        self._is_drained = False
        self._notifier.notify()

    @abstractmethod
    async def is_claimable(self) -> bool:
        """Look whether there is an item that may be claimed."""
