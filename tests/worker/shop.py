"""A shop whose messages, payments and events are in one file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from modd.cqrs import CommandBus, Emit
from modd.ports import Stats, Transaction
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.worker import Worker
from tests.worker.books import Books
from tests.worker.desk import Paid, Pay, item

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


class Shop:
    """Commands, events and payments; fail: how many of the next payments fail, and also: a statement more in each."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.calls, self.fail, self.also = store, 0, 0, ""
        self.commands, self.events = store.queue("commands"), store.queue("events")
        self.relay = Relay(store.outbox, self.events)
        self.books = Books("post", "tax")
        self.begun, self.go_on = anyio.Event(), anyio.Event()
        self.go_on.set()

    def worker(self, **options: Any) -> Worker:
        """One for the commands."""
        return Worker(self.commands, CommandBus([self.pay]), inbox=self.store.inbox, backoff="none", **options)

    async def pay(self, command: Pay, emit: Emit, tx: Transaction) -> None:
        self.calls += 1
        await tx.execute("INSERT INTO payments VALUES (?)", (command.amount,))
        emit(Paid(command.amount))
        if self.also:
            await tx.execute(self.also)
        if self.fail:
            self.fail -= 1
            raise ValueError("no money")
        self.begun.set()
        await self.go_on.wait()

    async def order(self) -> None:
        """Queue a command, the same each time."""
        await self.commands.put(item(Pay(3), id="p"))

    async def settled(self, times: int = 1) -> None:
        """Work on commands until so many are settled."""
        await self.worker(max_messages=times).run()

    async def handled(self, rows: int) -> None:
        """Pass on all events, and work on them until so many are settled: the events, and a row for each handler."""
        while await self.relay.pass_on():
            pass
        await Worker(self.events, self.books.bus, inbox=self.store.inbox, backoff="none", max_messages=rows).run()

    async def left(self) -> tuple[list[int], bool, int]:
        """Return the payments, True if the inbox has the command, and the number of events in the outbox."""
        async with self.store.transaction() as tx:
            payments = [amount for (amount,) in await tx.fetch("SELECT amount FROM payments")]
        claims = await self.store.outbox.claim(9, 30)
        await self.store.outbox.release(*claims)
        return payments, await self.store.inbox.has("commands/commands/p"), len(claims)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Shop]:
    """A shop in a new file."""
    async with SqliteStore(folder / "shop.db") as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE payments (amount INTEGER)")
        with anyio.fail_after(60):
            yield Shop(store)
