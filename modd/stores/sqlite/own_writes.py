"""Transactions that read what they wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

import anyio

from modd.ports.transaction import open_transaction
from modd.stores.sqlite.batch import begin, done_inside, roll_back, undo
from modd.stores.sqlite.errors import TransactionTimeout, translating
from modd.stores.sqlite.link import Link
from modd.stores.sqlite.sql import Connection, Operation
from modd.stores.sqlite.transaction import SqliteTransaction
from modd.stores.sqlite.writer import Writer

T = TypeVar("T")


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
        after = len(self._after)
        await self.read(lambda connection: connection.execute("SAVEPOINT modd_part"))
        try:
            yield self
        except BaseException:
            del self._after[after:]
            await self.read(lambda connection: undo(connection, "modd_part"))
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
        await self.tell()
