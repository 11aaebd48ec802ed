"""The base classes of the store's parts, and the access to the database that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Any, ClassVar, Protocol

import anyio

from modd.concurrency.backoff import spread
from modd.ports.transaction import Transaction
from modd.stores.postgres.advisory import LockNames
from modd.stores.postgres.commits import Committer
from modd.stores.postgres.foreign_access import ForeignAccess
from modd.stores.postgres.group_commit import GroupCommit
from modd.stores.postgres.select import ReadStatement
from modd.stores.postgres.session import Operation
from modd.stores.waiting import Notifier, SupportsWake

NOW = "extract(epoch FROM clock_timestamp())::double precision"
"""The time of the database, in seconds since 1970: the clocks of the processes do not matter."""


class Access(Protocol):
    """Reads and writes of the database, outside of a transaction or in the open one."""

    is_deferred: ClassVar[bool]
    """True if writes are applied only when the transaction commits, so that they have no result before."""

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation, and return its result; None where writes are deferred."""
        ...

    async def write_rows(
        self, operation: Operation, rows: Sequence[Any], locks: LockNames, unique: Collection[Any] = ()
    ) -> Any:
        """Run an operation on rows, and return its result; other calls may be committed with it.

        locks: what the operation takes. unique: values of which one call in a commit may have one.
        """
        ...

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation, and return its result.

        Raises `ResultNeeded`, which names the ``call``, where writes are deferred.
        """
        ...

    async def read(self, query: ReadStatement) -> list[Any]:
        """Return the rows of a statement."""
        ...


class PostgresAutocommit:
    """`Access` outside of a transaction: each write is committed before it returns."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, committer: Committer, groups: GroupCommit) -> None:
        self._committer, self.read = committer, committer.read
        self.write_rows = groups.submit

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation in a transaction of its own, and return its result."""
        [result] = await self._committer.commit((), ((operation, arguments),))
        return result

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation in a transaction of its own, and return its result."""
        return await self.write(operation, *arguments)


class Store(Protocol):
    """The part of `PostgresStore` that its queues, events, cache, locks, inbox and outbox use."""

    name: str
    poll: float

    def access(self, call: str, *, at_once: bool = False) -> Access:
        """Return the access for a call: the open transaction, or `PostgresAutocommit`.

        call: its name, for errors. at_once: not in a transaction that defers its writes, because other processes must
        see the effect at once. Raises `modd.ports.StoreError` and `TransactionInUse`.
        """
        ...

    def access_in(self, session: object) -> ForeignAccess:
        """Return the access for calls in a session of the application. Raises `InvalidOption` and `StoreError`."""
        ...

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``."""
        ...

    def join(self, channel: str, part: SupportsWake) -> None:
        """Have a part woken by the commits that name its channel."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """The time of the database, in seconds since 1970."""
        ...


class PostgresPart:
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
        """Return a transaction of the whole store; see `PostgresStore.transaction`."""
        return self._store.transaction(immediate=immediate)


LOOK_JITTER = 0.25
"""Share by which the seconds between two looks differ, so that tasks and processes do not look in step."""


class NotifiedPart(PostgresPart):
    """A part at which tasks wait for news.

    channel: the name by which commits tell of news.
    """

    def __init__(self, store: Store, channel: str) -> None:
        super().__init__(store)
        self.channel = channel
        self._notifier = Notifier()
        store.join(channel, self)

    def wake(self) -> None:
        """Wake the tasks that wait."""
        self._notifier.notify()

    async def _wait(self, seconds: float, look: Callable[[], Any]) -> None:
        """Wait, and look at the beginning, after news, when something comes due, and from time to time."""
        next_look = inf

        async def is_there() -> bool:
            nonlocal next_look
            left: float = await look()
            next_look = anyio.current_time() + min(left, spread(self._store.poll, LOOK_JITTER))
            return left <= 0

        await self._notifier.wait(seconds, is_there, lambda: next_look)


class WaitingPart(NotifiedPart, ABC):
    """A part from which items are claimed, and that can be waited at until there are some."""

    async def wait(self, seconds: float) -> None:
        """Return as soon as there may be something to claim, at the latest after ``seconds``."""
        await self._wait(seconds, self.seconds_left)

    @abstractmethod
    async def seconds_left(self) -> float:
        """Return the seconds until there may be something to claim: 0 if there is now, infinity for nobody knows."""
