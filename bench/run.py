"""Measure modd against the floors and print the ratios: ``python -m bench.run --rounds 7 --seconds 0.3``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from sqlite3 import sqlite_version
from statistics import median
from typing import Any

from bench.aggregates import aggregate_cases
from bench.cases import Case, all_cases, peak_of_chain
from bench.codec import codec_cases
from bench.commands import command_cases
from bench.conditions import condition_cases
from bench.deliveries import delivery_cases
from bench.durable import durable_cases
from bench.feeds import feed_cases
from bench.flows import flow_cases
from bench.nats import nats_cases
from bench.peer import peer_cases
from bench.postgres import postgres_cases
from bench.projections import projection_cases
from bench.remote import remote_cases
from bench.timing import calls_for, timed

CHAIN = 1_000_000
"""Messages in the turn whose memory is measured."""
PEAK = 1_000_000
"""Bytes that this turn may hold: a thirtieth of its messages, because handled messages are let go."""
FOLDER = Path(__file__).parents[1] / "build"
"""The default folder of files: on the disk of this checkout, and not in memory as temporary folders may be."""
HEAD = ("case", "modd", "compared with", "ratio", "low .. high", "must", "aim", "reached")


async def main() -> None:
    """Run the chosen cases, print the table, and write the figures to a file if the options name one."""
    options = parse()
    print(f"{machine()}\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    rows = []
    options.folder.mkdir(exist_ok=True)
    cases = (*all_cases(), *delivery_cases(), *command_cases(), *codec_cases())
    for cases_of in (
        durable_cases,
        condition_cases,
        aggregate_cases,
        projection_cases,
        flow_cases,
        feed_cases,
        remote_cases,
        nats_cases,
        postgres_cases,
        peer_cases,
    ):
        cases += tuple(cases_of(options.folder))
    for case in cases:
        if options.only in case.name:
            async with case.opening:
                rows.append(row(case, await measure(case, options.rounds, options.seconds)))
            print(line(rows[-1]), flush=True)
    peak = await peak_of_chain(CHAIN) if options.only in "memory" else None
    if peak is not None:
        print(f"\nmemory: at most {peak:,} bytes in a turn of {CHAIN:,} messages in a chain (must: {PEAK:,})")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "cases": rows, "chain_peak_bytes": peak}, indent=2))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each side of a case")
    parser.add_argument("--seconds", type=float, default=0.3, help="duration of a run")
    parser.add_argument("--only", default="", help="only the cases with this text in their names")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the files of durable cases, on a disk")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    return parser.parse_args()


async def measure(case: Case, rounds: int, seconds: float) -> list[tuple[float, float]]:
    """Return the seconds of one send on both sides, round by round; the side that begins alternates."""
    enough = [await calls_for(run, seconds) for run in (case.run, case.base)]
    measured = []
    for number in range(rounds):
        per_send = [0.0, 0.0]
        for side in (0, 1) if number % 2 else (1, 0):
            per_send[side] = await timed((case.run, case.base)[side], enough[side]) / enough[side]
        measured.append((per_send[0], per_send[1]))
    return measured


def row(case: Case, rounds: Iterable[tuple[float, float]]) -> dict[str, Any]:
    """Return the figures of a case: medians of the rounds, each of which compares its own two runs."""
    pairs = list(rounds)
    figures = sorted(case.figure(*pair) for pair in pairs)
    figure, sign = median(figures), -1 if case.at_most else 1
    reached = [name for name, target in (("aim", case.aim), ("must", case.must)) if sign * figure >= sign * target]
    return {
        "case": case.name,
        "modd_ns": 1e9 * median(seconds for seconds, _ in pairs) / case.messages,
        "base_ns": 1e9 * median(base for _, base in pairs) / case.messages,
        "ratio": figure,
        "low": figures[0],
        "high": figures[-1],
        "must": case.must,
        "aim": case.aim,
        "at_most": case.at_most,
        "reached": reached[0] if reached else "no",
    }


def line(row: dict[str, Any]) -> str:
    """Return a case as a line of the table; times are nanoseconds per message."""
    most = "at most " if row["at_most"] else ""
    return (
        f"| {row['case']} | {row['modd_ns']:,.0f} ns | {row['base_ns']:,.0f} ns | {row['ratio']:.2f} "
        f"| {row['low']:.2f} .. {row['high']:.2f} | {most}{row['must']} | {most}{row['aim']} | {row['reached']} |"
    )


def machine() -> str:
    """Return the machine and the versions that the figures were taken with."""
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("modd", "anyio", "msgspec", "aiosqlite", "eventsourcing")
    )
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} x {processor()}, {platform.system()}, {python}, SQLite {sqlite_version}, {libraries}"


def processor() -> str:
    """Return the name of the processor, or its kind where the system tells no name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    asyncio.run(main())
