"""The aggregate of the benchmarks: accounts, in memory and in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modd import Value
from modd.aggregate import Aggregate, Instance, Mark
from modd.cqrs import Command, Event
from modd.stores import SqliteStore

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


def totals(store: Any = None, *, snapshots: int = 0, states: int = 0) -> Aggregate[Total]:
    """Return an aggregate that neither saves snapshots nor keeps states in memory, unless the options say so."""
    return Aggregate(
        "total",
        identity="id",
        state=Total,
        commands={Add: [*CHAIN]},
        events={Added: added},
        store=store,
        snapshots=snapshots,
        states=states,
    )


async def fill(aggregate: Aggregate[Total], events: int, id: str = "a") -> None:
    """Record the events of an instance."""
    for _ in range(events // BATCH):
        await aggregate.record(Add(id, 1), *[Added(id, 1)] * BATCH)


class EventFile:
    """A store in a file of its own, in a folder that is removed at the end.

    folder: the place of that folder.
    """

    def __init__(self, folder: Path) -> None:
        self._holder = TemporaryDirectory(prefix="events-", dir=folder, ignore_cleanup_errors=True)
        self.path = Path(self._holder.name) / "events.db"
        self.store = SqliteStore(self.path)

    @asynccontextmanager
    async def opened(self, events: int = 0) -> AsyncIterator[None]:
        """Open the store, with an instance of so many events."""
        with self._holder:
            async with self.store:
                await fill(totals(self.store), events)
                yield
