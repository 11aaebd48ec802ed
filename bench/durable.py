"""Cases of a store in a file: messages that are safe on the disk, compared with sqlite3 with one table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Self

from bench.cases import Case, expect, times_as_fast
from bench.raw import Raw
from modd.cqrs import Codec, Command, CommandBus, Envelope
from modd.ports import Stats
from modd.stores import SqliteStore
from modd.worker import Worker

BATCH = 100
"""Messages that are claimed and acknowledged at a time in the case of batches."""
FILL = 1000
"""Messages that are put at a time where the put is not measured."""


class Add(Command[None]):
    """A command."""

    producer: int
    """The producer that waits until the command is handled."""
    sku: str = "KAY-123-YOLO"
    price: float = 10.99
    quantity: int = 2


CODEC = Codec([Add])


def payload(producer: int = 0) -> bytes:
    """Return a command in an envelope, encoded in about 250 bytes."""
    return CODEC.encode(Envelope(Add(producer)))


def durable_cases(folder: Path) -> list[Case]:
    """Return every case; its files are made in the folder and removed afterwards."""
    return [
        _case("durable put, 1 producer", Puts(folder, 1), must=0.35, aim=0.5),
        _case("durable put, 100 producers", Puts(folder, 100), must=10, aim=14),
        _case("durable put, 1 000 producers", Puts(folder, 1000), must=15, aim=19),
        _case("durable put, claim, handle, ack, 1 at once", Handled(folder, 1), must=0.35, aim=0.5),
        _case("durable put, claim, handle, ack, 100 at once", Handled(folder, 100), must=8, aim=14),
        _case("durable claim + ack, 100 in a batch", Claims(folder), must=20, aim=35),
    ]


class Pair:
    """Both sides of a case, each with its file in one folder. It is open during the runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.expected = [0, 0]  # messages that must wait at the end, in the file of modd and in the file of the floor

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self.open(stack, Path(stack.enter_context(TemporaryDirectory(prefix="durable-", dir=self._folder))))
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *about: object) -> None:
        async with self._opened:
            if kind is None:
                stats = await self.queue.stats()
                expect([stats, self.raw.waiting()], [Stats(self.expected[0], 0, 0, 0), self.expected[1]])

    async def open(self, stack: AsyncExitStack, folder: Path) -> None:
        """Open both files in the folder until the stack is left; both must be in WAL mode."""
        self.raw = stack.enter_context(closing(Raw(folder / "raw.db")))
        store = await stack.enter_async_context(SqliteStore(folder / "modd.db"))
        expect(store.journal.mode, "wal")
        self.queue = store.queue("bench")

    async def run(self, messages: int) -> float | None:
        """Do the work with modd."""
        raise NotImplementedError

    async def base(self, messages: int) -> float | None:
        """Do the work with the floor."""
        raise NotImplementedError


class Puts(Pair):
    """Several producers put messages; each waits until its message is safe before it puts the next."""

    def __init__(self, folder: Path, producers: int) -> None:
        super().__init__(folder)
        self._producers, self._body = producers, payload()

    async def run(self, messages: int) -> None:
        """Put the messages with all producers."""
        await spread(messages, self._producers, lambda _: self.queue.put(self._body))
        self.expected[0] += messages

    async def base(self, messages: int) -> None:
        """Put one message after another."""
        for _ in range(messages):
            self.raw.put(self._body)
        self.expected[1] += messages


class Handled(Pair):
    """Commands go through a worker; each producer waits until its command is handled before it puts the next.

    A run ends when the last command is acknowledged.
    """

    def __init__(self, folder: Path, at_once: int) -> None:
        super().__init__(folder)
        self._at_once, self._bodies = at_once, [payload(producer) for producer in range(at_once)]
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def open(self, stack: AsyncExitStack, folder: Path) -> None:
        """Open both files, and run a worker."""
        await super().open(stack, folder)
        worker = Worker(self.queue, CommandBus({Add: self.handle}), codec=CODEC, concurrency=self._at_once)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(worker.run())
        stack.callback(worker.stop)

    async def handle(self, command: Add) -> None:
        """Tell the producer of a command that it is handled."""
        self._waiting.pop(command.producer).set_result(None)

    async def run(self, messages: int) -> None:
        """Put commands with all producers, and wait until the last is acknowledged."""
        await spread(messages, self._at_once, self._handled)
        while (left := await self.queue.stats()).leased:
            pass
        expect(left, Stats(0, 0, 0, 0))

    async def base(self, messages: int) -> None:
        """Put, claim and acknowledge one message after another."""
        for _ in range(messages):
            self.raw.put(self._bodies[0])
            expect(self.raw.ack(self.raw.claim()), 1)

    async def _handled(self, producer: int) -> None:
        done = self._waiting[producer] = asyncio.get_running_loop().create_future()
        await self.queue.put(self._bodies[producer])
        await done


class Claims(Pair):
    """Waiting messages are claimed and acknowledged; the put before is not counted."""

    async def run(self, messages: int) -> float:
        """Claim and acknowledge in batches."""
        for start in range(0, messages, FILL):
            await self.queue.put(*[payload()] * min(FILL, messages - start))
        began, left = perf_counter(), messages
        while left:
            claims = await self.queue.claim(min(BATCH, left), 30)
            await self.queue.ack(*claims)
            left -= len(claims)
        return perf_counter() - began

    async def base(self, messages: int) -> float:
        """Claim and acknowledge one message after another."""
        self.raw.fill([payload()] * messages)
        began = perf_counter()
        for _ in range(messages):
            expect(self.raw.ack(self.raw.claim()), 1)
        return perf_counter() - began


async def spread(messages: int, producers: int, send: Callable[[int], Awaitable[object]]) -> None:
    """Send messages with a number of producers; each sends the next when its last is done."""
    left = iter(range(messages))

    async def produce(number: int) -> None:
        for _ in left:
            await send(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(min(producers, messages)):
            tasks.create_task(produce(number))


def _case(name: str, pair: Pair, *, must: float, aim: float) -> Case:
    return Case(name, pair.run, pair.base, times_as_fast, must, aim, opening=pair)
