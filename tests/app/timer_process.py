"""A process with a timer, which fires until all processes together have handled 20 reminders.

The arguments: the file of the store, and "dies" to end in the middle of the first firing, or "idle" to end without one.
"""

from __future__ import annotations

import os
import sys

import anyio

from modd.app import every
from modd.cqrs import CommandBus
from modd.stores import SqliteStore
from tests.app.timed import Remind

ENOUGH = 20


async def count(store: SqliteStore) -> int:
    async with store.transaction() as tx:
        [(number,)] = await tx.fetch("SELECT count(*) FROM reminders")
        return int(number)


async def main(path: str, dies: bool, idle: bool) -> None:
    async with SqliteStore(path, timeout=60) as store:

        async def remind(command: Remind) -> None:
            if dies:
                os._exit(3)
            async with store.transaction() as tx:
                await tx.execute("INSERT INTO reminders VALUES (?)", (os.getpid(),))
            if await count(store) >= ENOUGH:
                timer.stop()

        bus = CommandBus([remind])
        timer = every(0.05, Remind(), to=bus, once=store.inbox)
        if dies or idle:
            timer = every(3600, Remind(), to=bus, once=store.inbox, clock=lambda: 1.7e9)
        if idle:
            with anyio.move_on_after(0.5):
                await timer.run()
        else:
            await timer.run()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], "dies" in sys.argv[2:], "idle" in sys.argv[2:])
