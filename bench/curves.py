"""Measure what putting and claiming cost when ever more items wait: ``python -m bench.curves --most 1000000``."""

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
"""How many items wait; the others are compared with the first."""
DELAYED = 100_000
"""How many wait besides until they are due, in one of the kinds."""
FILL = 5000
"""Items of one put, where that is not measured."""
DAY = 86_400.0
"""In seconds; longer than any of this takes."""
MOST = 1.5
"""What may come of a million items: the cost for a thousand, so many times."""
OPERATIONS = ("put 1", "claim + ack 1", "put 100", "claim + ack 100")
HEAD = ("operation", "items", "waiting", "per item", "ratio", "low .. high", f"within {MOST}")

Key = Callable[[int], str | None]
"""The key of the how many-th item."""


@dataclass(frozen=True)
class Kind:
    """What sort of items wait."""

    name: str
    key: Key
    delayed: int = 0
    """How many others are not due yet."""
    operations: Sequence[str] = OPERATIONS


KINDS = (
    Kind("no keys", lambda _: None),
    Kind("ten items to a key", lambda i: f"order-{i // 10}"),
    Kind("one key", lambda _: "order", operations=OPERATIONS[:3]),  # of which one is claimed at a time
    Kind("no keys, 100 000 delayed beside", lambda _: None, delayed=DELAYED),
)


@dataclass
class Point:
    """A queue in which so many items wait, and what was measured there."""

    kind: Kind
    size: int
    queue: Queue
    took: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Seconds per item, round by round, for each operation."""
    put: int = 0
    """How many items were put."""

    async def fill(self) -> None:
        """Put what is to wait there."""
        for start in range(0, self.kind.delayed, FILL):
            items = min(FILL, self.kind.delayed - start)
            await self.queue.put(*[Item(payload(), delay=DAY) for _ in range(items)])
        while self.put < self.size:
            await self.queue.put(*self._items(min(FILL, self.size - self.put)))

    async def measure(self, items: int) -> None:
        """Put so many, and claim and acknowledge so many, one by one and in batches of 100."""
        for batch in (1, 100):
            await self._timed(f"put {batch}", batch, items, self._put)
            ways = self._claim if f"claim + ack {batch}" in self.kind.operations else self._take_singly
            await self._timed(f"claim + ack {batch}", batch, items, ways)
        stats = await self.queue.stats()
        if (stats.ready, stats.delayed, stats.leased) != (self.size, self.kind.delayed, 0):
            raise RuntimeError(f"there are {stats}, not {self.size} that wait and {self.kind.delayed} delayed")

    async def _timed(self, operation: str, batch: int, items: int, do: Callable[[int], Any]) -> None:
        gc.collect()
        began = perf_counter()
        for _ in range(0, items, batch):
            await do(batch)
        self.took.setdefault(operation, []).append((perf_counter() - began) / items)

    async def _put(self, batch: int) -> None:
        await self.queue.put(*self._items(batch))

    async def _claim(self, batch: int) -> None:
        claims = await self.queue.claim(batch, 30)
        if len(claims) != batch:
            raise RuntimeError(f"{len(claims)} were claimed, not {batch}")
        await self.queue.ack(*claims)

    async def _take_singly(self, batch: int) -> None:
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
        rows += (found := rows_of(kind, points))
        print("\n".join(map(line, found)), flush=True)
    options.json.write_text(json.dumps({"machine": machine(), "curves": rows}, indent=2) + "\n")
    options.svg.write_text(picture(OPERATIONS, rows, MOST))


def parse() -> argparse.Namespace:
    """What was asked for on the command line."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m bench.curves", description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="no more items than that")
    parser.add_argument("--rounds", type=int, default=9, help="how often everything is measured")
    parser.add_argument("--items", type=int, default=200, help="how many are put, claimed and acknowledged in a round")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the files of the queues, on a disk")
    parser.add_argument("--json", type=Path, default=here / "curves.json", help="a file to write the figures to")
    parser.add_argument("--svg", type=Path, default=here / "curves.svg", help="a file to draw the curves in")
    return parser.parse_args()


async def measure(kind: Kind, sizes: Sequence[int], options: argparse.Namespace) -> list[Point]:
    """Fill a file for each size, and measure them in turn, so that a slow moment of the machine meets all of them."""
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
            point.took = {operation: took[1:] for operation, took in point.took.items()}  # the first one warms up
    return points


def rows_of(kind: Kind, points: Sequence[Point]) -> list[dict[str, Any]]:
    """The figures of a kind: medians of the rounds, each of which compares sizes with the first among its own."""
    rows = []
    for operation in kind.operations:
        first = points[0].took[operation]
        for point in points:
            took = point.took[operation]
            ratios = sorted(one / other for one, other in zip(took, first, strict=True))
            rows.append(
                {
                    "operation": operation,
                    "items": kind.name,
                    "waiting": point.size,
                    "ns": 1e9 * median(took),
                    "ratio": median(ratios),
                    "low": ratios[0],
                    "high": ratios[-1],
                }
            )
    return rows


def line(row: dict[str, Any]) -> str:
    """A figure as a line of the table; times are microseconds per item."""
    return (
        f"| {row['operation']} | {row['items']} | {row['waiting']:,} | {row['ns'] / 1000:,.1f} us | {row['ratio']:.2f} "
        f"| {row['low']:.2f} .. {row['high']:.2f} | {'yes' if row['ratio'] <= MOST else 'no'} |"
    )


if __name__ == "__main__":
    asyncio.run(main())
