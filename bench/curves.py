"""Measure the cost of put and claim while more and more items wait: ``python -m bench.curves --most 1000000``."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.durable import payload
from bench.picture import Caption
from bench.scaling import Costs, measure_in_turn, parse, print_head, print_rows, rows_of, sizes, write
from modd.ports import Item, Queue
from modd.stores import SqliteStore

DELAYED = 100_000
"""Delayed items that wait beside the ready items, in one of the kinds."""
FILL = 5000
"""Items of one put where the put is not measured."""
DAY = 86_400.0
"""Seconds of a delay that no run outlasts."""
OPERATIONS = ("put 1", "claim + ack 1", "put 100", "claim + ack 100")
CAPTION = Caption("The cost of put and claim while more and more items wait", "microseconds per item", "waiting items")

Key = Callable[[int], str | None]
"""Returns the key of an item from its number."""


@dataclass(frozen=True)
class Kind:
    """A kind of waiting items."""

    name: str
    key: Key
    delayed: int = 0
    """Items that are not due yet, beside the waiting items."""
    operations: Sequence[str] = OPERATIONS


KINDS = (
    Kind("no keys", lambda _: None),
    Kind("ten items to a key", lambda i: f"order-{i // 10}"),
    Kind("one key", lambda _: "order", operations=OPERATIONS[:3]),  # of which one is claimed at a time
    Kind("no keys, 100 000 delayed beside", lambda _: None, delayed=DELAYED),
)


class Point:
    """A queue with a number of waiting items.

    kind: that of the items. size: the number of them. queue: an empty queue.
    """

    def __init__(self, kind: Kind, size: int, queue: Queue) -> None:
        self.kind, self.size, self.queue = kind, size, queue
        self.costs = Costs(kind.name, size)
        self.put = 0
        """Items that were put."""

    async def fill(self) -> None:
        """Put the items that are to wait."""
        for start in range(0, self.kind.delayed, FILL):
            items = min(FILL, self.kind.delayed - start)
            await self.queue.put(*[Item(payload(), delay=DAY) for _ in range(items)])
        while self.put < self.size:
            await self.queue.put(*self._items(min(FILL, self.size - self.put)))

    async def measure(self, items: int) -> None:
        """Put, claim and acknowledge a number of items, one by one and in batches of 100."""
        for batch in (1, 100):
            await self._time(f"put {batch}", batch, items, self._put)
            claim = self._claim if f"claim + ack {batch}" in self.kind.operations else self._claim_singly
            await self._time(f"claim + ack {batch}", batch, items, claim)
        stats = await self.queue.stats()
        if (stats.ready, stats.delayed, stats.leased) != (self.size, self.kind.delayed, 0):
            raise RuntimeError(f"there are {stats}, not {self.size} that wait and {self.kind.delayed} delayed")

    async def _time(self, operation: str, batch: int, items: int, do: Callable[[int], Awaitable[None]]) -> None:
        async def work() -> None:
            for _ in range(0, items, batch):
                await do(batch)

        await self.costs.time(operation, items, work)

    async def _put(self, batch: int) -> None:
        await self.queue.put(*self._items(batch))

    async def _claim(self, batch: int) -> None:
        claims = await self.queue.claim(batch, 30)
        if len(claims) != batch:
            raise RuntimeError(f"{len(claims)} were claimed, not {batch}")
        await self.queue.ack(*claims)

    async def _claim_singly(self, batch: int) -> None:
        for _ in range(batch):
            await self._claim(1)

    def _items(self, count: int) -> list[bytes | Item]:
        keys = [self.kind.key(number) for number in range(self.put, self.put + count)]
        self.put += count
        return [payload() if key is None else Item(payload(), key=key) for key in keys]


async def main() -> None:
    """Measure all kinds, print the table, and write the figures and their picture."""
    options = parse("curves", __doc__ or "", rounds=9, items=200)
    print_head("items", "waiting", "per item")
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        rows += (new := rows_of(await measure(kind, options), kind.operations))
        print_rows(new)
    write(options, rows, CAPTION)


async def measure(kind: Kind, options: argparse.Namespace) -> Sequence[Point]:
    """Fill a file for each size, and measure them in turn."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="curves-", dir=options.folder)))
        points: list[Point] = []
        for size in sizes(options):
            store = await stack.enter_async_context(SqliteStore(folder / f"{size}.db"))
            points.append(Point(kind, size, store.queue("bench")))
            await points[-1].fill()
        await measure_in_turn(points, options)
    return points


if __name__ == "__main__":
    asyncio.run(main())
