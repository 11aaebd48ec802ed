"""Measure commands and loads while the file has more and more events: ``python -m bench.growth --most 1000000``."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from bench.accounts import Add, Added, Total, totals
from bench.cases import expect
from bench.durable import spread
from bench.picture import Caption
from bench.scaling import Costs, measure_in_turn, parse, print_head, print_rows, rows_of, sizes, write
from modd import Value
from modd.aggregate import Aggregate
from modd.follower import Follower
from modd.projection import Projection
from modd.stores import SqliteStore

LOAD = "load with a snapshot"
FIRST = "command, state from a snapshot"
NEXT = "command, state in memory"
FOLLOW = "follower, catching up with one event"
OPERATIONS = (LOAD, FIRST, NEXT, FOLLOW)
SNAPSHOTS = 10
"""Events after which a snapshot is saved."""
FILL = 5000
"""Most events that are recorded at a time where that is not measured."""
LOG = bytes(5_000_000)
"""A document that makes the log of a file (WAL) as long as it gets, because commits cost more while it grows."""
AT_ONCE = 100
"""Instances that are filled at once."""
CAPTION = Caption(
    "The cost of a command and a load while the file has more and more events", "microseconds", "events in the file"
)


@dataclass(frozen=True)
class Kind:
    """A way in which the events of a file are spread over instances."""

    name: str
    events: int | None
    """The events of each instance; None for all of them in one."""


KINDS = (Kind("instances of 10 events", 10), Kind("one instance", None))


class Amount(Value, frozen=True):
    """The state of a projection: the sum of an instance."""

    amount: int = 0


def add_amount(state: Amount, event: Added) -> Amount:
    """Return the sum with an event."""
    return Amount(state.amount + event.amount)


class Point:
    """A file with a number of events.

    kind: that of the instances. size: the number of events. store: an empty store.
    """

    def __init__(self, kind: Kind, size: int, store: SqliteStore) -> None:
        self.costs = Costs(kind.name, size)
        self._store, self._length = store, kind.events or size
        self._ids = [str(number) for number in range(size // self._length)]
        Random(1).shuffle(self._ids)
        self._order = cycle(self._ids)
        self._expected = size
        amounts = Projection("amounts", state=Amount, key="id", events={Added: add_amount})
        self._follower = Follower(store, [amounts])

    async def fill(self) -> None:
        """Record the events, with a snapshot at the end of each instance."""
        aggregate, ids = totals(self._store, snapshots=SNAPSHOTS), iter(self._ids)

        async def record(id: str) -> None:
            for start in range(0, self._length, FILL):
                events = [Added(id, 1)] * min(FILL, self._length - start)
                await aggregate.record(Add(id, 1), *events)

        await spread(len(self._ids), AT_ONCE, lambda _: record(next(ids)))
        await self._follower.catch_up()
        await self._store.documents("bench").put("log", LOG)

    async def measure(self, items: int) -> None:
        """Load instances, one after another, and give each a command, and another one when its state is in memory."""
        ids = [next(self._order) for _ in range(items)]
        reading = totals(self._store, snapshots=SNAPSHOTS)
        keeping = totals(self._store, snapshots=SNAPSHOTS, states=items)
        await self._time(LOAD, ids, reading.get)
        await self._time(FIRST, ids, lambda id: reading.dispatch(Add(id, 1)))
        for id in ids:
            await keeping.dispatch(Add(id, 1))
        await self._time(NEXT, ids, lambda id: keeping.dispatch(Add(id, 1)))
        await self._follower.catch_up()
        await self._follow(ids, keeping)
        self._expected += 4 * items
        expect(await self._store.events.last(), self._expected)

    async def _follow(self, ids: Sequence[str], commands: Aggregate[Total]) -> None:
        seconds = 0.0
        for id in ids:
            await commands.dispatch(Add(id, 1))
            began = perf_counter()
            await self._follower.catch_up()
            seconds += perf_counter() - began
        self.costs.note(FOLLOW, len(ids), seconds)

    async def _time(self, operation: str, ids: Sequence[str], do: Callable[[str], Awaitable[object]]) -> None:
        async def work() -> None:
            for id in ids:
                await do(id)

        await self.costs.time(operation, len(ids), work)


async def main() -> None:
    """Measure both kinds, print the table, and write the figures and their picture."""
    options = parse("growth", __doc__ or "", rounds=9, items=20)
    print_head("events", "events in the file", "each")
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        rows += (new := rows_of(await measure(kind, options), OPERATIONS))
        print_rows(new)
    write(options, rows, CAPTION)


async def measure(kind: Kind, options: argparse.Namespace) -> Sequence[Point]:
    """Fill a file for each size, and measure them in turn."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="growth-", dir=options.folder)))
        points: list[Point] = []
        for size in sizes(options):
            store = await stack.enter_async_context(SqliteStore(folder / f"{size}.db"))
            points.append(Point(kind, size, store))
            await points[-1].fill()
        await measure_in_turn(points, options)
    return points


if __name__ == "__main__":
    asyncio.run(main())
