"""Cases of aggregates: a command through a chain of three, and the replay of an instance."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec

from bench.accounts import CHAIN, Add, Added, EventFile, Total, added, fill, totals
from bench.cases import Case, Run, expect, times_as_fast
from modd.aggregate import Aggregate
from modd.stores import MemoryStore

EVENTS = 100_000
"""Events of the instance that is replayed."""
SHORT = 10_000
"""Events of the instance that is loaded with a snapshot."""


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
        aggregate = totals(states=1)
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
        await fill(totals(store), EVENTS)
        bodies.extend([event.body async for event in store.events.read("total/a")])
        yield

    return Case(
        "aggregate: replay in memory",
        replays(totals(store), EVENTS),
        folds(lambda: bodies),
        times_as_fast,
        must=0.7,
        aim=0.85,
        messages=EVENTS,
        opening=opened(),
    )


def replay_in_file(folder: Path) -> Case:
    """An instance is read from its events in a file; the floor decodes and folds rows of sqlite3."""
    file = EventFile(folder)

    def rows() -> list[bytes]:
        with closing(sqlite3.connect(file.path)) as connection:
            return [body for [body] in connection.execute("SELECT body FROM modd_events ORDER BY position")]

    return Case(
        "aggregate: replay in a file",
        replays(totals(file.store), EVENTS),
        folds(rows),
        times_as_fast,
        must=0.6,
        aim=0.9,
        messages=EVENTS,
        opening=file.opened(EVENTS),
    )


def load_with_snapshots(folder: Path) -> Case:
    """An instance of 10 000 events is read from a file with a snapshot; the base has none."""
    file = EventFile(folder)

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        async with file.opened(SHORT):
            await totals(file.store, snapshots=100).get("a")  # saves the snapshot
            yield

    return Case(
        "aggregate: load of 10 000 with a snapshot",
        replays(totals(file.store, snapshots=100), SHORT),
        replays(totals(file.store), SHORT),
        times_as_fast,
        must=20,
        aim=40,
        opening=opened(),
    )


def replays(aggregate: Aggregate[Total], events: int) -> Run:
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
