# ruff: noqa: ASYNC240  # a few looks at a small file
"""Workers that tests run as processes of their own: ``python -m tests.worker.program NAME PATH BACKEND``."""

from __future__ import annotations

import os
import subprocess
import sys
from math import inf
from pathlib import Path

import anyio

from modd.cqrs import CommandBus
from modd.stores import SqliteStore
from modd.worker import Worker
from tests.worker.desk import Pay, Ship

LEASE = 1.0
"""Seconds of a lease, which a process that is stopped outlasts."""

PATIENCE = 120
"""Seconds after which a program is taken to hang."""


async def crash(path: str) -> None:
    """Handle all messages; a Pay ends the process, the first time beside four of Ship that are not done."""
    first, beside = Path(f"{path}.first"), 0
    is_first, all_beside = not first.exists(), anyio.Event()

    async def pay(pay: Pay) -> None:
        if is_first:
            await all_beside.wait()
            first.touch()
        os._exit(9)

    async def ship(ship: Ship) -> None:
        nonlocal beside
        beside += 1
        if beside == 4:
            all_beside.set()
        if is_first:
            await anyio.sleep_forever()
        print(ship.to, flush=True)

    async with SqliteStore(path) as store:
        bus = CommandBus({Pay: pay, Ship: ship})
        await Worker(store.queue("q"), bus, lease=LEASE, attempts=1).run_until_idle(ahead=inf)


async def pause(path: str) -> None:
    """Handle three messages that take longer than a lease, and tell when all are begun."""
    begun = 0

    async def ship(ship: Ship) -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            print("begun", flush=True)
        await anyio.sleep(2 * LEASE)
        print(ship.to, flush=True)

    async with SqliteStore(path) as store:
        await Worker(store.queue("q"), CommandBus({Ship: ship}), lease=LEASE).run_until_idle(ahead=inf)


def start(name: str, path: Path, backend: str) -> subprocess.Popen[str]:
    """Start a program in a process of its own."""
    command = [sys.executable, "-m", "tests.worker.program", name, str(path), backend]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    anyio.run({"crash": crash, "pause": pause}[sys.argv[1]], sys.argv[2], backend=sys.argv[3])
