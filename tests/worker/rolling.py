"""Workers that are processes of their own: ``python -m tests.worker.rolling PATH BACKEND HANDLER...``."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from modd.cqrs import Event, EventBus
from modd.ports import Transaction
from modd.stores import SqliteStore
from modd.worker import Worker


class Shipped(Event):
    n: int


async def note(event: Shipped, tx: Transaction, *, name: str) -> None:
    await tx.execute("INSERT INTO done VALUES (?, ?)", (name, event.n))


def bus_of(*handlers: str) -> EventBus:
    """Return a bus with handlers of these names, which note in the file what they have done."""
    bus = EventBus()
    for name in handlers:
        bus.register(Shipped, partial(note, name=name), name)
    return bus


def start(path: Path, backend: str, *handlers: str) -> subprocess.Popen[Any]:
    """Start a process with a worker that has these handlers."""
    return subprocess.Popen([sys.executable, "-m", __name__, str(path), backend, *handlers])


async def main(path: str, *handlers: str) -> None:
    async with SqliteStore(path, timeout=60) as store:
        await Worker(store.queue("events"), bus_of(*handlers), poll=0.2).run()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], *sys.argv[3:], backend=sys.argv[2])
