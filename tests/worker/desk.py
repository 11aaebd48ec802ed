"""Messages for the tests of workers, and a store in memory with transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from modd.cqrs import Codec, Command, Envelope, Event
from modd.ports import AlreadyHandled, Claim, Item, PutResult, StoreError
from modd.ports.transaction import open_transaction
from modd.stores import MemoryQueue
from modd.worker import Worker


class Pay(Command[None]):
    amount: int = 1


class Ship(Command[None]):
    to: str = "ada"


class Paid(Event):
    amount: int = 1


class PaidAbroad(Paid):
    land: str = "fr"


CODEC = Codec([Pay, Ship, Paid, PaidAbroad])


def item(message: Any, **options: Any) -> Item:
    """Return a message as it is queued; options are those of `Item`."""
    return Item(CODEC.encode(Envelope(message)), **options)


async def work_off(worker: Worker, seconds: float = 200.0) -> None:
    """Run a worker for so long."""
    with anyio.move_on_after(seconds):
        await worker.run()


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[None]:
    """A worker that runs for as long as the block lasts, and is cancelled then."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        yield
        tasks.cancel_scope.cancel()


class Tx:
    """A transaction that collects its writes and applies them at its end."""

    def __init__(self, rows: list[str]) -> None:
        self.later: list[Callable[[], Awaitable[Any]]] = []
        self._rows = rows

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        """Add a row."""

        async def add() -> None:
            self._rows.append(sql)

        self.later.append(add)

    async def execute_many(self, sql: str, rows: Any) -> int | None:
        raise NotImplementedError

    async def fetch(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        return [(row,) for row in self._rows]

    @property
    def is_usable(self) -> bool:
        return True

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        before = len(self.later)
        try:
            yield
        except BaseException:
            del self.later[before:]
            raise

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        self.later.append(work)

    @property
    def local(self) -> dict[Any, Any]:
        raise NotImplementedError

    def on_end(self, work: Callable[[], Awaitable[None]]) -> None:
        raise NotImplementedError


class Desk:
    """A store in memory: writes inside of its transactions are applied at their ends, or not at all.

    fail: how many of the next commits fail.
    """

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.known: set[str] = set()
        self.out: list[Item] = []
        self.fail = 0
        self.queue, self.inbox, self.outbox = DeskQueue(self), DeskInbox(self), DeskOutbox(self)

    @asynccontextmanager
    async def transaction(self, *, immediate: bool = False) -> AsyncIterator[Tx]:
        tx = Tx(self.rows)
        token = open_transaction.set(tx)
        try:
            yield tx
        finally:
            open_transaction.reset(token)
        await anyio.lowlevel.checkpoint()
        if self.fail:
            self.fail -= 1
            raise StoreError("desk", "the disk is full")
        with anyio.CancelScope(shield=True):
            rows, known, out = [*self.rows], {*self.known}, [*self.out]
            try:
                for each in tx.later:
                    await each()
            except Exception:
                self.rows[:], self.known, self.out = rows, known, out
                raise

    async def do(self, write: Callable[[], Awaitable[Any]]) -> None:
        tx = open_transaction.get()
        if isinstance(tx, Tx):
            tx.later.append(write)
        else:
            await write()


class DeskPart:
    def __init__(self, store: Desk) -> None:
        self.store = store
        self.transaction = store.transaction


class DeskQueue(MemoryQueue):
    """Puts and acks take part in transactions."""

    name = "desk"

    def __init__(self, store: Desk) -> None:
        super().__init__()
        self.store = store
        self.transaction = store.transaction

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        await self.store.do(lambda: super(DeskQueue, self).put(*items))
        return [PutResult(str(getattr(item, "id", "")), None) for item in items]

    async def ack(self, *claims: Claim) -> None:
        await self.store.do(lambda: super(DeskQueue, self).ack(*claims))


class DeskInbox(DeskPart):
    async def add(self, id: str) -> None:
        async def add() -> None:
            if id in self.store.known:
                raise AlreadyHandled(id)
            self.store.known.add(id)

        await self.store.do(add)

    async def has(self, id: str) -> bool:
        await anyio.lowlevel.checkpoint()
        return id in self.store.known


class DeskOutbox(DeskPart):
    async def put(self, *items: bytes | Item) -> list[str]:
        async def add() -> None:
            self.store.out += [each for each in items if isinstance(each, Item)]

        await self.store.do(add)
        return []

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        return []

    async def ack(self, *claims: Claim) -> None:
        pass

    async def release(self, *claims: Claim) -> None:
        pass
