"""Writes that are committed together or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import anyio

from modd.ports.transaction import Parameters, open_transaction
from modd.stores.sqlite.batch import begin, done_inside, roll_back, undo_part
from modd.stores.sqlite.errors import (
    AnswerNeeded,
    StoreReadOnly,
    TransactionInUse,
    TransactionTimeout,
    is_refused_write,
    translating,
)
from modd.stores.sqlite.given import checked_sql
from modd.stores.sqlite.link import Link, current_task
from modd.stores.sqlite.readers import Readers, rows_of
from modd.stores.sqlite.sql import Call, Connection, Operation, executed, transacted
from modd.stores.sqlite.writer import Writer

T = TypeVar("T")

class SqliteTransaction(ABC):
    """A transaction as the task sees it that began it; see `modd.ports.Transaction`."""

    collects: ClassVar[bool] = True

    def __init__(self, store: Any) -> None:
        self.store, self.open = store, True
        self.outer: Any = open_transaction.get()
        """The transaction around it: of another store, or over."""
        self._task = current_task()

    def check(self, what: str) -> None:
        """Raise `TransactionInUse` in another task than the one that began it, and when it has ended."""
        if not self.open or current_task() != self._task:
            raise TransactionInUse(what, self.open)

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


class Collecting(SqliteTransaction):
    """Writes are collected, and applied at the end in one go, so that nobody has to wait for a slow block.

    What is read is what was committed when the block read for the first time, without its own writes.
    """

    def __init__(self, store: Any, writer: Writer, readers: Readers, snapshots: bool) -> None:
        super().__init__(store)
        self._writer, self._readers, self._snapshots = writer, readers, snapshots
        self._collected: list[tuple[Operation, Call]] = []
        self._stack: AsyncExitStack | None = None
        self._snapshot: Link | None = None

    async def note(self, operation: Operation, *call: Any) -> Any:
        """Collect a write."""
        self._collected.append((operation, call))

    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Raise `AnswerNeeded`: nothing is written before the end."""
        raise AnswerNeeded(what)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement reads; one that writes has none before the end."""
        try:
            return await super().fetch(sql, parameters)
        except StoreReadOnly as error:
            if not is_refused_write(error.__cause__):
                raise
            raise AnswerNeeded("a statement that writes and has rows") from error

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read from the snapshot."""
        if not self._snapshots:
            return await self._readers.read(work)
        if self._snapshot is None:
            self._stack = AsyncExitStack()
            self._snapshot = await self._stack.enter_async_context(self._readers.snapshot())
        return await self._readers.run(self._snapshot, work)

    @asynccontextmanager
    async def part(self) -> AsyncIterator[SqliteTransaction]:
        """A block within the block, whose writes are dropped when it fails."""
        before = len(self._collected)
        try:
            yield self
        except BaseException:
            del self._collected[before:]
            raise

    async def __aenter__(self) -> SqliteTransaction:  # by hand: generators for it cost as much as the block of a worker
        self._token = open_transaction.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what was collected, unless the block failed."""
        open_transaction.reset(self._token)
        self.open = False
        if self._stack is not None:
            await self._stack.aclose()
        if error is None and len(self._collected) == 1:  # so that it is done with others of its kind
            [(operation, call)] = self._collected
            await self._writer.submit(operation, *call)
        elif error is None and self._collected:
            await self._writer.submit(transacted, self._collected)


class OwnWrites(SqliteTransaction):
    """Writes are done at once and can be read in the block. Nobody else can write meanwhile, so its time is limited."""

    collects: ClassVar[bool] = False

    def __init__(self, store: Any, writer: Writer, limit: float) -> None:
        super().__init__(store)
        self._writer, self._limit = writer, limit
        self._link: Link | None = None

    async def note(self, operation: Operation, *call: Any) -> Any:
        """Write something now."""
        [result] = await self.read(lambda connection: done_inside(connection, operation, call))
        return result

    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Write something now, and get the result."""
        return await self.note(operation, *call)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something, with what was written here."""
        assert self._link is not None  # only reached inside of `run`
        with translating(self.store.name):
            return await self._link.run(work)

    @asynccontextmanager
    async def part(self) -> AsyncIterator[SqliteTransaction]:
        """A block within the block, whose writes are undone when it fails."""
        await self.read(lambda connection: connection.execute("SAVEPOINT modd_part"))
        try:
            yield self
        except BaseException:
            await self.read(undo_part)
            raise
        await self.read(lambda connection: connection.execute("RELEASE modd_part"))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[SqliteTransaction]:
        """The block, with the connection that writes. Raises `TransactionTimeout` when it takes too long."""
        async with self._writer.turn() as self._link:
            token = open_transaction.set(self)
            try:
                await self.read(begin)
                with anyio.move_on_after(self._limit) as scope:
                    yield self
                    await self.read(lambda connection: connection.execute("COMMIT"))
                if scope.cancelled_caught:
                    raise TransactionTimeout(self.store.name, self._limit)
            finally:
                self.open = False
                open_transaction.reset(token)
                await self.read(roll_back)
