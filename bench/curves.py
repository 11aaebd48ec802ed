"""Measure the cost of put and claim while more and more items wait: ``python -m bench.curves --most 1000000``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from bench.durable import payload
from bench.picture import picture
from bench.run import FOLDER, machine
from modd.ports import Item, Queue
from modd.stores import SqliteStore

SIZES = (1_000, 10_000, 100_000, 1_000_000)
"""Numbers of waiting items; each is compared with the first."""
DELAYED = 100_000
"""Delayed items that wait beside the ready items, in one of the kinds."""
FILL = 5000
"""Items of one put where the put is not measured."""
DAY = 86_400.0
"""Seconds of a delay that no run outlasts."""
MOST = 1.5
"""The highest ratio of a cost to the cost with the fewest items."""
OPERATIONS = ("put 1", "claim + ack 1", "put 100", "claim + ack 100")
HEAD = ("operation", "items", "waiting", "per item", "ratio", "low .. high", f"within {MOST}")

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


@dataclass
class Point:
    """A queue with a number of waiting items, and the seconds that were measured there."""

    kind: Kind
    size: int
    queue: Queue
    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Seconds per item, round by round, for each operation."""
    put: int = 0
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
            await self._timed(f"put {batch}", batch, items, self._put)
            claim = self._claim if f"claim + ack {batch}" in self.kind.operations else self._claim_singly
            await self._timed(f"claim + ack {batch}", batch, items, claim)
        stats = await self.queue.stats()
        if (stats.ready, stats.delayed, stats.leased) != (self.size, self.kind.delayed, 0):
            raise RuntimeError(f"there are {stats}, not {self.size} that wait and {self.kind.delayed} delayed")

    async def _timed(self, operation: str, batch: int, items: int, do: Callable[[int], Any]) -> None:
        gc.collect()
        began = perf_counter()
        for _ in range(0, items, batch):
            await do(batch)
        self.seconds.setdefault(operation, []).append((perf_counter() - began) / items)

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
    options = parse()
    options.folder.mkdir(exist_ok=True)
    print(f"{machine()}\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        points = await measure(kind, [size for size in SIZES if size <= options.most], options)
        rows += (new := rows_of(kind, points))
        print("\n".join(map(line, new)), flush=True)
    options.json.write_text(json.dumps({"machine": machine(), "curves": rows}, indent=2) + "\n")
    options.svg.write_text(picture(OPERATIONS, rows, MOST))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m bench.curves", description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="no more items than that")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of all measurements")
    parser.add_argument(
        "--items", type=int, default=200, help="items that are put, claimed and acknowledged in a round"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the files of the queues, on a disk")
    parser.add_argument("--json", type=Path, default=here / "curves.json", help="a file to write the figures to")
    parser.add_argument("--svg", type=Path, default=here / "curves.svg", help="a file to draw the curves in")
    return parser.parse_args()


async def measure(kind: Kind, sizes: Sequence[int], options: argparse.Namespace) -> list[Point]:
    """Fill a file for each size, and measure them in turn, so that a slow moment of the machine meets all sizes."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="curves-", dir=options.folder)))
        points: list[Point] = []
        for size in sizes:
            store = await stack.enter_async_context(SqliteStore(folder / f"{size}.db"))
            points.append(Point(kind, size, store.queue("bench")))
            await points[-1].fill()
        for number in range(options.rounds + 1):
            for point in points if number % 2 else reversed(points):
                await point.measure(options.items)
        for point in points:
            point.seconds = {name: seconds[1:] for name, seconds in point.seconds.items()}  # the first round warms up
    return points


def rows_of(kind: Kind, points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the figures of a kind: medians of the rounds, each of which compares every size with the first."""
    rows = []
    for operation in kind.operations:
        first = points[0].seconds[operation]
        for point in points:
            seconds = point.seconds[operation]
            ratios = sorted(later / earlier for later, earlier in zip(seconds, first, strict=True))
            rows.append(
                {
                    "operation": operation,
                    "items": kind.name,
                    "waiting": point.size,
                    "ns": 1e9 * median(seconds),
                    "ratio": median(ratios),
                    "low": ratios[0],
                    "high": ratios[-1],
                }
            )
    return rows


def line(row: dict[str, Any]) -> str:
    """Return a figure as a line of the table; times are microseconds per item."""
    return (
        f"| {row['operation']} | {row['items']} | {row['waiting']:,} | {row['ns'] / 1000:,.1f} us | {row['ratio']:.2f} "
        f"| {row['low']:.2f} .. {row['high']:.2f} | {'yes' if row['ratio'] <= MOST else 'no'} |"
    )


if __name__ == "__main__":
    asyncio.run(main())
