"""A follower in a process of its own: ``python -m tests.follower.program PATH BACKEND ORDERS FIRST``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio

from modd.stores import SqliteStore
from tests.follower.shop import Pay, Place, Shop

ROOT = Path(__file__).parents[2]


async def main(path: str, orders: int, first: int) -> None:
    """Place and pay orders while the flow goes on, until all that there is is done."""
    async with SqliteStore(path, timeout=60) as store:
        shop = Shop(store, poll=0.05, lease=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.follower.run)
            for number in range(first, first + orders):
                await shop.send(Place(str(number)), Pay(str(number)))
                print(number, flush=True)
            await shop.follower.catch_up()
            shop.follower.stop()


def start(path: Path, backend: str, orders: int, first: int) -> subprocess.Popen[str]:
    """Start the process."""
    command = [sys.executable, "-m", "tests.follower.program", str(path), backend, str(orders), str(first)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[3]), int(sys.argv[4]), backend=sys.argv[2])
