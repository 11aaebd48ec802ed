"""One side of a comparison: a process that imports modd from one checkout and times runs on request."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import modd
from bench.cases import Case, all_cases
from bench.commands import command_cases
from bench.deliveries import delivery_cases
from bench.timing import calls_for, timed

CHECKOUT = str(Path(modd.__file__).resolve().parents[1])
"""The folder that modd was imported from."""


async def main() -> None:
    """Answer requests, one JSON value per line each, until the input ends.

    The first line that is written says where modd was imported from and which cases there are. A request is the name
    of a case and the seconds of a run: ``["fan 10 000", 0.2]``; the answer is the seconds of one send.
    """
    cases = {case.name: case for case in (*all_cases(), *delivery_cases(), *command_cases())}
    reply({"modd": CHECKOUT, "cases": {case.name: case.messages for case in cases.values()}})
    sends: dict[str, int] = {}
    for request in sys.stdin:
        name, seconds = json.loads(request)
        reply(await seconds_per_send(cases[name], seconds, sends))


async def seconds_per_send(case: Case, seconds: float, sends: dict[str, int]) -> float:
    """Return the seconds of one send in a run of a case; its first run sets the number of ``sends``.

    Only the time of this process counts, because other processes may use the machine, too.
    """
    if case.name not in sends:
        sends[case.name] = await calls_for(case.run, seconds, process_time)
    return await timed(case.run, sends[case.name], process_time) / sends[case.name]


def reply(value: Any) -> None:
    """Write a value as a line."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
