"""Cases of aggregates: a command through a chain of three, and the replay of an instance."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from bench.cases import Case, Run, expect, times_as_fast
from modd import Value
from modd.aggregate import Aggregate, Instance, Mark
from modd.cqrs import Command, Event
from modd.stores import MemoryStore, SqliteStore

EVENTS = 20_000
"""Events of the instance that is replayed."""
BATCH = 500
"""Events that are recorded at a time where that is not measured."""


class Total(Value, frozen=True):
    """The state of an account."""

    amount: int = 0
    count: int = 0


class Add(Command[None]):
    """A command."""

    id: str
    amount: int


class Added(Event):
    """An event."""

    id: str
    amount: int


def is_named(total: Instance[Total], command: Add, mark: Mark) -> None:
    """Pass a command with an identity."""
    if not command.id:
        return mark.as_rejected("It has no identity.")
    return mark.as_ready_for_next()


def is_positive(total: Instance[Total], command: Add, mark: Mark) -> None:
    """Pass a command with an amount above 0."""
    if command.amount <= 0:
        return mark.as_rejected("The amount is not positive.")
    return mark.as_ready_for_next()


def add(total: Instance[Total], command: Add, mark: Mark) -> None:
    """Publish the event."""
    total.publish(Added(command.id, command.amount))
    mark.as_done()


def added(state: Total, event: Added) -> Total:
    """Return the state after the event."""
    return Total(state.amount + event.amount, state.count + 1)


CHAIN: Sequence[Callable[[Any, Any, Any], None]] = (is_named, is_positive, add)


def totals(store: Any = None) -> Aggregate[Total]:
    """Return an aggregate without snapshots, whose states are not kept if it has a store."""
    return Aggregate(
        "total",
        identity="id",
        state=Total,
        commands={Add: [*CHAIN]},
        events={Added: added},
        store=store,
        snapshots=0,
        states=0 if store is not None else 1024,
    )


class HandMark:
    """A mark of the floor: it notes the word."""

    word = ""

    def as_ready_for_next(self) -> None:
        """Note the word."""
        self.word = "next"

    def as_rejected(self, reason: str) -> None:
        """Note the word."""
        self.word = "rejected"

    def as_done(self) -> None:
        """Note the word."""
        self.word = "done"


class HandInstance:
    """An instance of the floor: a state, and the events that were published."""

    def __init__(self, state: Total) -> None:
        self.state = state
        self.published: list[Added] = []

    def publish(self, event: Added) -> None:
        """Change the state, and note the event."""
        self.state = added(self.state, event)
        self.published.append(event)


def aggregate_cases(folder: Path) -> list[Case]:
    """Return every case of aggregates."""
    return [command_in_memory(), replay_in_memory(), replay_in_file(folder), load_with_snapshots(folder)]


def command_in_memory() -> Case:
    """A command through a chain of three; the floor calls the same functions, and keeps the bytes in a list."""
    encode = msgspec.json.Encoder().encode

    async def run(sends: int) -> None:
        aggregate = totals()
        for _ in range(sends):
            await aggregate.dispatch(Add("a", 1))
        expect((await aggregate.get("a")).state.count, sends)

    async def base(sends: int) -> None:
        states: dict[str, Total] = {}
        log: list[bytes] = []
        for _ in range(sends):
            command = Add("a", 1)
            instance = HandInstance(states.get(command.id) or Total())
            for function in CHAIN:
                mark = HandMark()
                function(instance, command, mark)
                if mark.word == "rejected":
                    break
            log += [encode(event) for event in instance.published]
            states[command.id] = instance.state
        expect(states["a"].count, sends)

    return Case("aggregate: command in memory, chain of 3", run, base, times_as_fast, must=0.15, aim=0.22)


def replay_in_memory() -> Case:
    """An instance is read from its events in memory; the floor decodes and folds a list of bytes."""
    store = MemoryStore()
    bodies: list[bytes] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        await fill(totals(store))
        bodies.extend([event.body async for event in store.events.read("total/a")])
        yield

    return Case(
        "aggregate: replay in memory",
        replays(totals(store)),
        folds(lambda: bodies),
        times_as_fast,
        must=0.7,
        aim=0.85,
        messages=EVENTS,
        opening=opened(),
    )


def replay_in_file(folder: Path) -> Case:
    """An instance is read from its events in a file; the floor decodes and folds rows of sqlite3."""
    holder = TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
    path = Path(holder.name) / "events.db"
    store = SqliteStore(path)

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        with holder:
            async with store:
                await fill(totals(store))
                yield

    def rows() -> list[bytes]:
        with closing(sqlite3.connect(path)) as connection:
            return [body for [body] in connection.execute("SELECT body FROM modd_events ORDER BY position")]

    return Case(
        "aggregate: replay in a file",
        replays(totals(store)),
        folds(rows),
        times_as_fast,
        must=0.6,
        aim=0.9,
        messages=EVENTS,
        opening=opened(),
    )


def load_with_snapshots(folder: Path) -> Case:
    """An instance of 10 000 events is read from a file with a snapshot; the base has none."""
    holder = TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
    store = SqliteStore(Path(holder.name) / "events.db")
    short = EVENTS // 2

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        with holder:
            async with store:
                await fill(totals(store), short)
                await totals(store).stored(store, snapshots=100).get("a")  # saves the snapshot
                yield

    return Case(
        "aggregate: load of 10 000 with a snapshot",
        replays(totals(store).stored(store, snapshots=100), short),
        replays(totals(store), short),
        times_as_fast,
        must=20,
        aim=40,
        opening=opened(),
    )


async def fill(aggregate: Aggregate[Total], events: int = EVENTS) -> None:
    """Record the events that are replayed."""
    for _ in range(events // BATCH):
        await aggregate.record(Add("a", 1), *[Added("a", 1)] * BATCH)


def replays(aggregate: Aggregate[Total], events: int = EVENTS) -> Run:
    """Return a run that reads the instance so many times."""

    async def run(sends: int) -> None:
        for _ in range(sends):
            expect((await aggregate.get("a")).state.count, events)

    return run


def folds(bodies: Callable[[], list[bytes]]) -> Run:
    """Return a run that decodes and folds bytes so many times."""
    decode = msgspec.json.Decoder(Added).decode

    async def run(sends: int) -> None:
        for _ in range(sends):
            state = Total()
            for body in bodies():
                state = added(state, decode(body))
            expect(state.count, EVENTS)

    return run
