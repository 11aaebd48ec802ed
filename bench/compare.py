"""Compare modd in this checkout with modd in another one: ``python -m bench.compare ../before --rounds 11``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parents[1]
HEAD = ("case", "this", "other", "times as fast", "low .. high", "must", "reached")
MUST = {
    "1 handler, async": 0.95,
    "1 handler, sync": 0.85,
    "10 handlers, async": 0.97,
    "depth 10 000": 0.87,
    "fan 10 000": 1.0,
    "one bus deeper, per level": 0.85,
    "list of one": 1.5,
    "overlapping": 1.8,
    "key": 3.5,
    "lets out": 2.0,
    "failure": 1.2,
    "observed": 1.2,
    "dispatch, no middleware": 0.95,
    "command with an event": 1.3,
    "ask through an exclusive Bus": 1.3,
    "ask through an overlapping Bus": 0.85,
}
"""Times as fast as commit 591913a that modd must be."""


def main() -> None:
    """Run the cases in both checkouts, round by round, and print the table."""
    options = parse()
    with ExitStack() as stack:
        this, other = (stack.enter_context(side(checkout)) for checkout in (HERE, options.checkout.resolve()))
        print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
        for name, messages in this.cases.items():
            if options.only in name:
                print(line(name, messages, rounds(this, other, name, options)), flush=True)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("checkout", type=Path, help="the folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=11, help="runs of each case in each checkout")
    parser.add_argument("--seconds", type=float, default=0.2, help="duration of a run")
    parser.add_argument("--only", default="", help="only the cases with this text in their names")
    return parser.parse_args()


class Side:
    """A process that times runs with modd from one checkout (`bench.side`)."""

    def __init__(self, process: subprocess.Popen[str], checkout: Path) -> None:
        self._process = process
        hello = self._read()
        if Path(hello["modd"]) != checkout:
            raise RuntimeError(f"modd was imported from {hello['modd']} instead of {checkout}")
        self.cases: dict[str, int] = hello["cases"]
        """The messages per send of each case, by its name."""

    def seconds_per_send(self, name: str, seconds: float) -> float:
        """Time one run of a case."""
        assert self._process.stdin
        print(json.dumps([name, seconds]), file=self._process.stdin, flush=True)
        answer: float = self._read()
        return answer

    def _read(self) -> Any:
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("a process ended before it answered; its error is above")
        return json.loads(answer)


@contextmanager
def side(checkout: Path) -> Iterator[Side]:
    """Start a process with modd from a checkout and the benchmarks from here.

    Both are linked into one folder that is first on the path, so that an installed modd is not found.
    """
    with TemporaryDirectory(prefix="modd-compare-") as folder:
        Path(folder, "modd").symlink_to(checkout / "modd")
        Path(folder, "bench").symlink_to(HERE / "bench")
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.side"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield Side(process, checkout)


def rounds(this: Side, other: Side, name: str, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Return the seconds of one send in both checkouts, round by round; the side that begins alternates."""
    for either in (this, other):
        either.seconds_per_send(name, options.seconds)
    taken = []
    for number in range(options.rounds):
        order = (this, other) if number % 2 else (other, this)
        seconds = {either: either.seconds_per_send(name, options.seconds) for either in order}
        taken.append((seconds[this], seconds[other]))
    return taken


def line(name: str, messages: int, seconds: list[tuple[float, float]]) -> str:
    """Return a case as a line of the table; times are medians in nanoseconds per message."""
    this, other = (1e9 * median(column) / messages for column in zip(*seconds, strict=True))
    ratios = sorted(base / own for own, base in seconds)
    must = MUST.get(name)
    reached = "" if must is None else "yes" if median(ratios) >= must else "no"
    return (
        f"| {name} | {this:,.0f} ns | {other:,.0f} ns | {median(ratios):.2f} "
        f"| {ratios[0]:.2f} .. {ratios[-1]:.2f} | {must or ''} | {reached} |"
    )


if __name__ == "__main__":
    main()
