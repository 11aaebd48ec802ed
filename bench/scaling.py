"""Costs at several sizes, each compared with that at the smallest size: for a table, and for a picture of curves."""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Protocol

from bench.picture import Caption, picture
from bench.run import FOLDER, machine

SIZES = (1_000, 10_000, 100_000, 1_000_000)
"""The sizes; each is compared with the first."""
MOST = 1.5
"""The highest ratio of a cost to the cost at the smallest size."""


@dataclass
class Costs:
    """The costs at a size.

    kind: the name of the curve. size: the place on it.
    """

    kind: str
    size: int
    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Seconds per item, round by round, for each operation."""

    async def time(self, operation: str, items: int, work: Callable[[], Awaitable[object]]) -> None:
        """Time the work of an operation on a number of items."""
        gc.collect()
        began = perf_counter()
        await work()
        self.note(operation, items, perf_counter() - began)

    def note(self, operation: str, items: int, seconds: float) -> None:
        """Note the seconds that an operation took on a number of items."""
        self.seconds.setdefault(operation, []).append(seconds / items)


class Point(Protocol):
    """A size of a kind."""

    costs: Costs

    async def measure(self, items: int) -> None:
        """Time each operation once, on so many items."""
        ...


async def measure_in_turn(points: Sequence[Point], options: argparse.Namespace) -> None:
    """Measure all sizes round by round, in the other order each time, so that a slow moment meets all of them.

    The first round warms up.
    """
    for number in range(options.rounds + 1):
        for point in points if number % 2 else reversed(points):
            await point.measure(options.items)
    for point in points:
        point.costs.seconds = {name: seconds[1:] for name, seconds in point.costs.seconds.items()}


def rows_of(points: Sequence[Point], operations: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figures of a kind: medians of the rounds, each of which compares every size with the first."""
    rows = []
    for operation in operations:
        first = points[0].costs.seconds[operation]
        for costs in (point.costs for point in points):
            seconds = costs.seconds[operation]
            ratios = sorted(later / earlier for later, earlier in zip(seconds, first, strict=True))
            rows.append(
                {
                    "operation": operation,
                    "kind": costs.kind,
                    "size": costs.size,
                    "ns": 1e9 * median(seconds),
                    "ratio": median(ratios),
                    "low": ratios[0],
                    "high": ratios[-1],
                }
            )
    return rows


def parse(name: str, about: str, *, rounds: int, items: int) -> argparse.Namespace:
    """Return the options of the command line of ``bench.<name>``. rounds, items: their defaults."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=about)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="no larger size than that")
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds of all measurements")
    parser.add_argument("--items", type=int, default=items, help="items in a round of each operation")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the files, on a disk")
    parser.add_argument("--json", type=Path, default=here / f"{name}.json", help="a file to write the figures to")
    parser.add_argument("--svg", type=Path, default=here / f"{name}.svg", help="a file to draw the curves in")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    return options


def sizes(options: argparse.Namespace) -> list[int]:
    """Return the sizes that the options choose."""
    return [size for size in SIZES if size <= options.most]


def print_head(kind: str, size: str, cost: str) -> None:
    """Print the machine, and the head of the table. The words name three of its columns."""
    head = ("operation", kind, size, cost, "ratio", "low .. high", f"within {MOST}")
    print(f"{machine()}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print figures as lines of the table; times are microseconds per item."""
    for row in rows:
        print(
            f"| {row['operation']} | {row['kind']} | {row['size']:,} | {row['ns'] / 1000:,.1f} us | {row['ratio']:.2f} "
            f"| {row['low']:.2f} .. {row['high']:.2f} | {'yes' if row['ratio'] <= MOST else 'no'} |",
            flush=True,
        )


def write(options: argparse.Namespace, rows: list[dict[str, Any]], caption: Caption) -> None:
    """Write the figures, and their picture."""
    options.json.write_text(json.dumps({"machine": machine(), "curves": rows}, indent=2) + "\n")
    options.svg.write_text(picture(rows, MOST, caption))
