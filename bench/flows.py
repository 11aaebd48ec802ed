"""The case of a flow: an order through two steps of a flow and a command, counted in puts into a queue.

The orders come one after another, and the follower runs beside them, as in a service. An order is done when the
follower waits for the next event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from bench.cases import Case, expect, times_as_slow
from modd import Value
from modd.aggregate import Aggregate, Instance
from modd.cqrs import Command, Event
from modd.flow import End, Flow, Go, end, go
from modd.follower import Follower
from modd.stores import SqliteStore

BODY = b"x" * 100
"""The body of an item that is put."""


class Place(Command[None]):
    """A command from outside."""

    order: str


class Reserve(Command[None]):
    """The command of the flow."""

    sku: str


class Placed(Event):
    """The event of the first step."""

    order: str


class Reserved(Event):
    """The event of the second step."""

    sku: str


class Nothing(Value, frozen=True):
    """The state of the aggregates."""


class Order(Value, frozen=True):
    """The state of the flow."""

    order: str = ""


def place(order: Instance[Nothing], command: Place) -> Placed:
    """Return the event of a command."""
    return Placed(command.order)


def reserve(stock: Instance[Nothing], command: Reserve) -> Reserved:
    """Return the event of a command."""
    return Reserved(command.sku)


def placed(flow: Order, event: Placed) -> Go[Order]:
    """Begin, with a command."""
    return go(Order(event.order), Reserve(event.order))


def reserved(flow: Order, event: Reserved) -> End:
    """End."""
    return end()


def flow_cases(folder: Path) -> list[Case]:
    """Return every case; its file is made in the folder and removed afterwards."""
    return [Orders(folder).case("flow: an order through two steps and a command, in puts")]


class Orders:
    """A flow on a file, with the follower that runs.

    folder: for the file.
    """

    def __init__(self, folder: Path) -> None:
        self._holder = TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
        self._store = SqliteStore(Path(self._holder.name) / "modd.db")
        self._placed, self._idle = 0, anyio.Event()

    def case(self, name: str) -> Case:
        """Return the case."""
        return Case(name, self.run, self.base, times_as_slow, must=3.75, aim=3, at_most=True, opening=self.opened())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the file, and run the follower."""
        flow = Flow("order", state=Order, identity="order", begins={Placed: placed}, reacts={Reserved: reserved})
        with self._holder:
            async with self._store as store, anyio.create_task_group() as tasks:
                self._watch(store.events)
                stock = aggregate("stock", "sku", {Reserve: reserve}, Reserved, store)
                self._orders = aggregate("order", "order", {Place: place}, Placed, store)
                follower = Follower(store, [flow], commands=stock)
                tasks.start_soon(follower.run)
                await self.run(20)
                yield
                follower.stop()

    async def run(self, sends: int) -> None:
        """Place orders, each when the one before is done."""
        for _ in range(sends):
            self._placed, self._idle = self._placed + 1, anyio.Event()
            await self._orders.dispatch(Place(f"o{self._placed}"))
            await self._idle.wait()
        expect(await self._store.events.last(), 2 * self._placed)

    async def base(self, sends: int) -> None:
        """Put items, one after another."""
        queue = self._store.queue("puts")
        for _ in range(sends):
            await queue.put(BODY)

    def _watch(self, events: Any) -> None:
        """Have the follower tell when it waits behind both events of the last order."""
        wait = events.wait

        async def tell_and_wait(after: int, seconds: float) -> None:
            if after >= 2 * self._placed:
                self._idle.set()
            await wait(after, seconds)

        events.wait = tell_and_wait


def aggregate(name: str, identity: str, commands: Any, event: type[Event], store: SqliteStore) -> Aggregate[Nothing]:
    """Return an aggregate with one event, which changes nothing."""
    return Aggregate(
        name, identity=identity, state=Nothing, commands=commands, events={event: lambda state, _: state}, store=store
    )
