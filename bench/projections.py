"""Cases of projections: events of a file that a follower carries to a table or to states, and commands inline.

The floor reads the same events by hand, decodes them with msgspec, and writes them with ``executemany`` and its
position in one commit for each batch.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import msgspec

from bench.cases import Case, Run, expect, times_as_fast
from modd import Value
from modd.aggregate import Aggregate, Instance
from modd.cqrs import Codec, Command, Event
from modd.follower import Follower
from modd.ports import Item
from modd.projection import Projection, Rows
from modd.stores import SqliteStore

EVENTS = 10_000
"""Events in the log."""
SKUS = 500
"""Rows, or states, that they meet in."""
BATCH = 100
"""Events of a commit of the floor, and of the follower in two of the cases."""
COMMANDS = 100
"""Commands that are dispatched at once."""


class Sell(Command[None]):
    """A command."""

    order: str
    sku: str
    pieces: int = 1


class Sold(Event):
    """An event."""

    order: str
    sku: str
    pieces: int = 1


class Pieces(Value, frozen=True):
    """The state for a sku."""

    pieces: int = 0


class Order(Value, frozen=True):
    """The state of an order."""

    pieces: int = 0


numbers = count()
"""Numbers of tables and projections: each run begins with an empty one."""

CODEC = Codec([Sold])

UPSERT = "INSERT INTO {} VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET pieces = pieces + excluded.pieces"

COLUMNS = "sku TEXT PRIMARY KEY, pieces INTEGER NOT NULL"


def in_table(name: str) -> Projection[None]:
    """Return a projection with a table."""
    sql = UPSERT.replace("{}", f"{{{name}}}")

    def sold(event: Sold, rows: Rows) -> None:
        rows.execute(sql, (event.sku, event.pieces))

    return Projection(name, tables={name: COLUMNS}, events={Sold: sold})


def in_states(name: str) -> Projection[Pieces]:
    """Return a projection with states."""

    def sold(state: Pieces, event: Sold) -> Pieces:
        return Pieces(state.pieces + event.pieces)

    return Projection(name, state=Pieces, key="sku", events={Sold: sold})


def projection_cases(folder: Path) -> list[Case]:
    """Return every case; its files are made in the folder and removed afterwards."""
    cases = [
        Followed(folder, kind, batch).case(f"projection: {noun}, {size}", must, aim)
        for size, batch, must, aim in (("batches of 100", BATCH, 0.4, 0.5), ("default batch", None, 0.9, 1.3))
        for noun, kind in (("table", in_table), ("states", in_states))
    ]
    return [*cases, *(Inline(folder, kind).case(f"projection: inline, {noun}") for noun, kind in KINDS)]


KINDS: tuple[tuple[str, Callable[[str], Projection[Any]]], ...] = (("table", in_table), ("states", in_states))


class Followed:
    """A log that a follower carries to a projection that is made anew for each run.

    folder: for the files. make: returns the projection of a name. batch: that of the follower.
    """

    def __init__(self, folder: Path, make: Callable[[str], Projection[Any]], batch: int | None) -> None:
        self._make, self._batch = make, batch
        self._holder = TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
        self._path = Path(self._holder.name)
        self._store = SqliteStore(self._path / "modd.db")

    def case(self, name: str, must: float, aim: float) -> Case:
        """Return the case."""
        return Case(name, self.run, self.base, times_as_fast, must, aim, messages=EVENTS, opening=self.opened())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Record the events, for both sides."""
        bodies = [CODEC.encode_message(Sold(str(at), f"sku {at * 7919 % SKUS}")) for at in range(EVENTS)]
        with self._holder:
            async with self._store:
                for first in range(0, EVENTS, 1_000):
                    items = [
                        Item(body, {"id": f"{at}#1"}) for at, body in enumerate(bodies[first : first + 1_000], first)
                    ]
                    await self._store.events.append("shop", items, first)
                with closing(self._connect()) as connection:
                    connection.execute("CREATE TABLE events (position INTEGER PRIMARY KEY, body BLOB, headers BLOB)")
                    connection.execute("CREATE TABLE positions (name TEXT PRIMARY KEY, position INTEGER)")
                    connection.executemany(
                        "INSERT INTO events (body, headers) VALUES (?, '{}')", [(each,) for each in bodies]
                    )
                    connection.commit()
                yield

    async def run(self, sends: int) -> float:
        """Carry the log to so many projections."""
        seconds = 0.0
        for _ in range(sends):
            projection = self._make(f"sales{next(numbers)}")
            follower = Follower(self._store, [projection], batch=self._batch)
            start = perf_counter()
            await follower.catch_up()
            seconds += perf_counter() - start
            expect((await follower.lag(projection)).events, 0)
            expect(await self._pieces(projection), EVENTS)
        return seconds

    async def base(self, sends: int) -> float:
        """Do the same by hand."""
        seconds = 0.0
        for _ in range(sends):
            with closing(self._connect()) as connection:
                start = perf_counter()
                table = f"sales{next(numbers)}"
                connection.execute(f"CREATE TABLE {table} ({COLUMNS})")
                carry(connection, table)
                seconds += perf_counter() - start
                expect(connection.execute(f"SELECT sum(pieces) FROM {table}").fetchone()[0], EVENTS)
        return seconds

    async def _pieces(self, projection: Projection[Any]) -> int:
        if projection.tables is None:
            states: Iterable[tuple[str, Pieces]] = await projection.of(self._store).items(limit=SKUS)
            return sum(state.pieces for _, state in states)
        async with self._store.transaction() as tx:
            return int((await tx.fetch(f"SELECT sum(pieces) FROM {projection.name}"))[0][0])

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path / "floor.db")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def carry(connection: sqlite3.Connection, table: str) -> None:
    """Carry all events to a table, in commits of a batch each."""
    decode, position = msgspec.json.Decoder(Sold).decode, 0
    select = "SELECT position, body FROM events WHERE position > ? ORDER BY position LIMIT ?"
    upsert = UPSERT.format(table)
    while rows := connection.execute(select, (position, BATCH)).fetchall():
        events = [decode(body) for _, body in rows]
        position = rows[-1][0]
        connection.executemany(upsert, [(event.sku, event.pieces) for event in events])
        connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (table, position))
        connection.commit()


def sell(order: Instance[Order], command: Sell) -> Sold:
    """Return the event of a command."""
    return Sold(command.order, command.sku, command.pieces)


def sold_by_order(state: Order, event: Sold) -> Order:
    """Return the state of an order after the event."""
    return Order(state.pieces + event.pieces)


class Inline:
    """Commands that are dispatched at once, with a projection inline and without.

    folder: for the file. make: returns the projection of a name.
    """

    def __init__(self, folder: Path, make: Callable[[str], Projection[Any]]) -> None:
        self._holder = TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
        self._store = SqliteStore(Path(self._holder.name) / "modd.db")
        self._projection = make("sales")

    def case(self, name: str) -> Case:
        """Return the case."""
        run, base = self._dispatches([self._projection]), self._dispatches([])
        return Case(name, run, base, times_as_fast, must=0.5, aim=0.7, messages=COMMANDS, opening=self.opened())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the file."""
        with self._holder:
            async with self._store:
                await self._orders([self._projection]).dispatch(Sell("first", "sku 0"))
                yield

    def _orders(self, inline: list[Projection[Any]]) -> Aggregate[Order]:
        return Aggregate(
            "order",
            identity="order",
            state=Order,
            commands={Sell: sell},
            events={Sold: sold_by_order},
            store=self._store,
            inline=inline,
            snapshots=0,
        )

    def _dispatches(self, inline: list[Projection[Any]]) -> Run:
        aggregate = self._orders(inline)

        async def run(sends: int) -> None:
            for _ in range(sends):
                first = [next(numbers) for _ in range(COMMANDS)]
                async with asyncio.TaskGroup() as tasks:
                    for number in first:
                        tasks.create_task(aggregate.dispatch(Sell(f"{number}", f"sku {number % 20}")))

        return run
