"""A till whose payments and events are in one file, for the tests of transactions of middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from modd.cqrs import Codec, Command, CommandBus, Emit, Envelope, Event
from modd.middleware import Transactional
from modd.ports import Transaction
from modd.stores import SqliteStore


class Pay(Command[int]):
    cents: int = 1


class Paid(Event):
    cents: int


class Till:
    """A handler that writes and emits, and then fails so many times."""

    def __init__(self, store: SqliteStore, fail: int = 0) -> None:
        self.store, self.fail, self.calls = store, fail, 0

    def bus(self, *middleware: Any, key: Any = None, **options: Any) -> CommandBus:
        """Return a bus with a transaction innermost."""
        return CommandBus([self.pay], middleware=[*middleware, Transactional(self.store, key=key)], **options)

    async def pay(self, command: Pay, tx: Transaction, emit: Emit) -> int:
        self.calls += 1
        await tx.execute("INSERT INTO paid VALUES (?)", (command.cents,))
        emit(Paid(command.cents))
        if self.fail:
            self.fail -= 1
            raise ConnectionError("not yet")
        return self.calls

    async def paid(self) -> list[int]:
        """Return the payments that are kept."""
        async with self.store.transaction() as tx:
            return [cents for (cents,) in await tx.fetch("SELECT cents FROM paid")]

    async def told(self) -> list[int]:
        """Return the payments that the outbox tells of."""
        return [event.message.cents for _, event in await self.outbox()]

    async def outbox(self) -> list[tuple[Any, Envelope[Any]]]:
        """Return what is in the outbox, and take it out."""
        claims = await self.store.outbox.claim(99, 30)
        await self.store.outbox.ack(*claims)
        codec = Codec([Paid, Pay])
        return [(claim, codec.decode(claim.body)) for claim in claims]


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[Till]:
    """A till in a new file."""
    async with SqliteStore(folder / "till.db") as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS paid (cents INTEGER CHECK (cents > 0))")
        with anyio.fail_after(60):
            yield Till(store, **options)
