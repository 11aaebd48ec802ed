"""Transactions that collect what they write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar

from modd.ports.transaction import Parameters, open_transaction
from modd.stores.sqlite.errors import AnswerNeeded, StoreReadOnly, is_refused_write
from modd.stores.sqlite.link import Link
from modd.stores.sqlite.readers import Readers
from modd.stores.sqlite.sql import Call, Connection, Operation, transacted
from modd.stores.sqlite.transaction import SqliteTransaction
from modd.stores.sqlite.writer import Writer

T = TypeVar("T")


class Collecting(SqliteTransaction):
    """Writes are collected, and applied at the end in one go, so that nobody has to wait for a slow block.

    What is read is what was committed when the block read for the first time, without its own writes.
    """

    def __init__(self, store: Any, writer: Writer, readers: Readers) -> None:
        super().__init__(store)
        self._writer, self._readers = writer, readers
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
        if self._snapshot is None:
            self._stack = AsyncExitStack()
            self._snapshot = await self._stack.enter_async_context(self._readers.snapshot())
        return await self._readers.run(self._snapshot, work)

    @asynccontextmanager
    async def part(self) -> AsyncIterator[SqliteTransaction]:
        """A block within the block, whose writes are dropped when it fails."""
        collected, after = len(self._collected), len(self._after)
        try:
            yield self
        except BaseException:
            del self._collected[collected:], self._after[after:]
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
        if error is None:
            await self._commit()
            await self.tell()

    async def _commit(self) -> None:
        if len(self._collected) == 1:  # so that it is done with others of its kind
            [(operation, call)] = self._collected
            await self._writer.submit(operation, *call)
        elif self._collected:
            await self._writer.submit(transacted, self._collected)
