"""A process with a timer, which fires until all processes together have handled 20 reminders.

The arguments: the file of the store, and what it does: "works"; "dies" in the middle of the first firing; or "looks" if
there is something to fire. With "queue" the reminders go into a queue of the store.
"""

from __future__ import annotations

import os
import sys
from math import inf
from typing import Any

import anyio

from modd.app import every
from modd.cqrs import CommandBus, Next
from modd.middleware import Enqueue
from modd.stores import SqliteStore
from tests.app.timed import Remind

ENOUGH = 20


async def count(store: SqliteStore) -> int:
    async with store.transaction() as tx:
        [(number,)] = await tx.fetch("SELECT count(*) FROM reminders")
        return int(number)


async def main(path: str, work: str, queued: bool) -> None:
    async with SqliteStore(path, timeout=60) as store:

        async def die(envelope: Any, call_next: Next) -> None:
            await call_next(envelope)
            if work == "dies":
                os._exit(3)

        async def remind(command: Remind) -> None:
            async with store.transaction() as tx:
                await tx.execute("INSERT INTO reminders VALUES (?)", (os.getpid(),))
            if await count(store) >= ENOUGH:
                timer.stop()

        enqueue = Enqueue(store.queue("reminders"), enabled=queued)
        bus = CommandBus([remind], middleware=[die, enqueue])
        timer = every(0.05, Remind(), to=bus, once=store.inbox)
        if work != "works":
            timer = every(3600, Remind(), to=bus, once=store.inbox, clock=lambda: 1.7e9)
        with anyio.move_on_after(0.5 if work == "looks" else inf):
            await timer.run()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], "queue" in sys.argv)
