"""A process that gives commands beside others: ``python -m tests.aggregate.program PATH BACKEND NAME``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio

from modd.aggregate import CommandRejected, Instance
from modd.cqrs import Duplicate, Envelope
from modd.ports import Conflict
from modd.stores import SqliteStore
from tests.aggregate.billing import Invoice, Issue, Issued, Pay, invoices
from tests.aggregate.test_boundaries import Subscribe, enrolment

COUNT, SEATS = 30, 20
"""The number of commands of each kind in a process, and that of the seats in the course."""


def increase(invoice: Instance[Invoice], command: Any) -> Issued:
    return Issued(command.invoice_id, invoice.state.amount + 1)


class Program:
    """Gives commands of all kinds, and counts those that took effect.

    store: the store. name: the name of the process.
    """

    def __init__(self, store: SqliteStore, name: str) -> None:
        self.store, self.name = store, name
        self.aggregate = invoices(
            store=store, commands={Issue: increase, Pay: increase}, attempts=1000, snapshots=7, states=2
        )
        self.enrolment = enrolment(store).stored(store, attempts=1000)
        self.counts = dict.fromkeys(("plain", "transactions", "ids", "seats"), 0)

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            for each in (self.plainly, self.in_transactions, self.with_ids, self.for_seats):
                tasks.start_soon(each)
        print(json.dumps(self.counts))

    async def plainly(self) -> None:
        for _ in range(COUNT):
            await self.aggregate.dispatch(Issue("plain"))
            self.counts["plain"] += 1

    async def in_transactions(self) -> None:
        for at in range(COUNT):
            is_done = False
            while not is_done:
                try:
                    async with self.store.transaction(immediate=at % 2 == 0):
                        await self.aggregate.dispatch(Pay("transactions"))
                        await self.aggregate.dispatch(Issue("plain"))
                except Conflict:
                    continue
                is_done = True
            self.counts["transactions"] += 1
            self.counts["plain"] += 1

    async def with_ids(self) -> None:
        for at in range(COUNT):
            dispatched = await self.aggregate.dispatch(Envelope(Issue("ids"), id=f"c-{at}"))
            self.counts["ids"] += not dispatched.envelope.has(Duplicate)

    async def for_seats(self) -> None:
        for at in range(COUNT):
            try:
                await self.enrolment.dispatch(Subscribe("a", f"{self.name}-{at}"))
            except CommandRejected:
                continue
            self.counts["seats"] += 1


def start(path: Path, backend: str, name: str) -> subprocess.Popen[str]:
    """Start a process, whose output can be read."""
    command = [sys.executable, "-m", "tests.aggregate.program", str(path), backend, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


async def main(path: str, name: str) -> None:
    async with SqliteStore(path, timeout=60) as store:
        await Program(store, name).run()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[3], backend=sys.argv[2])
