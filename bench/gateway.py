"""Measure events to many clients, beside bare Starlette on hypercorn: ``python -m bench.gateway --rounds 3``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.run import machine

HERE = Path(__file__).resolve().parents[1]
CLIENTS = {"asyncio": 1000, "trio": 500}
"""The clients on each loop."""
PER_SECOND = 10
"""Events per second, each of which goes to all clients."""
WARM_UP = (20, 5)
"""Clients and events before the measurement."""
SIDES = ("gateway", "floor")
"""The sides of a comparison, as `bench.broadcast` names them."""
HEAD = ("loop", "clients", "side", "delay p50", "p99", "share of a core", "KiB a client", "reached")


@dataclass(frozen=True)
class Figures:
    """The figures of a run.

    p50, p99: seconds of delay. core: the share of a core that the server took. memory: KiB of the server per client.
    """

    p50: float
    p99: float
    core: float
    memory: float


SHOWN = {"p50": "{:.3f} s", "p99": "{:.3f} s", "core": "{:.0%}", "memory": "{:.0f}"}
"""The formats of the figures, in the order of the table."""
MOST = {"p99": 0.5, "core": 1.0, "memory": 64.0}
"""The figures that a gateway must reach, at most."""


class Peer:
    """A process that answers requests, one JSON value per line each.

    process: the process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self) -> Any:
        """Return the next value that it writes."""
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("a process ended before it answered; its error is above")
        return json.loads(answer)

    def ask(self, request: Any) -> Any:
        """Write a value, and return the answer."""
        assert self._process.stdin
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self.read()


def main() -> None:
    """Run both sides in turns on each loop, and print the table."""
    options = parse()
    print(f"{machine()}\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    for loop in options.loops:
        clients = options.clients or CLIENTS[loop]
        rounds: dict[str, list[Figures]] = {side: [] for side in SIDES}
        for number in range(options.rounds):
            for side in SIDES if number % 2 else reversed(SIDES):
                rounds[side].append(measure(side, loop, clients, options.events))
        for side in SIDES:
            print(line(loop, clients, side, rounds[side]), flush=True)
    print(f"\nThe load was {' '.join(f'{load:.1f}' for load in os.getloadavg())} in the end.")


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each side on each loop")
    parser.add_argument("--events", type=int, default=100, help=f"events of a run, {PER_SECOND} a second")
    parser.add_argument("--clients", type=int, help="clients on each loop; by default those of the targets")
    parser.add_argument("--loops", nargs="+", choices=CLIENTS, default=list(CLIENTS), help="the loops")
    return parser.parse_args()


def measure(side: str, loop: str, clients: int, events: int) -> Figures:
    """Start a server, have clients hear events, and return the figures."""
    with peer("bench.broadcast", side, loop) as server:
        place = server.read()
        listen(server, place, *WARM_UP)
        before = server.ask([0, PER_SECOND])["memory"]
        processor, memory, delays = listen(server, place, clients, events)
    return Figures(
        p50=delays[len(delays) // 2],
        p99=delays[len(delays) * 99 // 100],
        core=processor / events * PER_SECOND,
        memory=(memory - before) / clients / 1024,
    )


def listen(server: Peer, place: dict[str, Any], clients: int, events: int) -> tuple[float, float, list[float]]:
    """Have clients hear events; return the processor time of the server, its memory then, and the sorted delays."""
    with peer("bench.listeners", place["port"], place["path"], clients, events) as listeners:
        listeners.read()
        before = server.ask([0, PER_SECOND])["processor"]
        memory = server.ask([events, PER_SECOND])["memory"]
        delays = listeners.read()
        return server.ask([0, PER_SECOND])["processor"] - before, memory, delays


@contextmanager
def peer(module: str, *arguments: object) -> Iterator[Peer]:
    """Start a process, and end it with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Peer(process)
        finally:
            process.terminate()


def line(loop: str, clients: int, side: str, rounds: Sequence[Figures]) -> str:
    """Return the figures of a side as a line of the table: medians, and the lowest and the highest."""
    figures = {name: sorted(getattr(each, name) for each in rounds) for name in SHOWN}
    cells = []
    for name, format in SHOWN.items():
        middle, low, high = (
            format.format(each) for each in (median(figures[name]), figures[name][0], figures[name][-1])
        )
        cells.append(f"{middle} ({low} .. {high})")
    reached = "yes" if all(median(figures[name]) <= most for name, most in MOST.items()) else "no"
    return f"| {loop} | {clients:,} | {side} | {' | '.join(cells)} | {reached} |"


if __name__ == "__main__":
    main()
