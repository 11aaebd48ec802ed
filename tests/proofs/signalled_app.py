"""An app that ``python -m modd run`` runs, and that is told to end by signals; its tables tell what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import time
from typing import Any

from modd.app import App, Health, Settings, every
from modd.cqrs import Command, CommandBus
from modd.middleware import Enqueue, Transactional
from modd.ports import Transaction
from modd.stores import SqliteStore
from modd.worker import Worker
from tests.proofs.orders import fails_first
from tests.proofs.workshop import LATER, Workshop, findings, finished, opened, rows, workers

SHORT, HOUR = 0.2, 3600.0
"""Seconds: some handlers end while they are waited for, some do not."""


class ProofConfig(Settings, prefix="PROOF_"):
    """The settings of the app."""

    db: str
    """The file."""
    first: int
    """The number of the first order that takes its time: earlier ones are left over from other processes."""
    drain: float
    """Seconds that handlers have to end."""


class Remind(Command[None]):
    """Goes into a queue, in the transaction that notes the slot of its timer."""


class Audit(Command[None]):
    """Is handled by the timer, after its slot was noted."""


async def remind(command: Remind, tx: Transaction) -> None:
    await tx.execute("INSERT INTO effects (what, number) VALUES ('reminded', 0)")


async def audit(command: Audit, tx: Transaction) -> None:
    await tx.execute("INSERT INTO effects (what, number) VALUES ('audited', 0)")


@asynccontextmanager
async def shop(config: ProofConfig) -> AsyncIterator[App]:
    """Open the store and compose the app."""

    def pause(number: int) -> float:
        if number < config.first or fails_first(number):
            return 0.0
        return HOUR if number == config.first + 7 else [SHORT, 0.0, 0.0, 0.01][number % 4]

    async with opened(config.db, timeout=60) as store:
        reminding = CommandBus([remind], middleware=[Enqueue(store.queue("reminders"))])
        auditing = CommandBus([audit], middleware=[Transactional(store)])
        yield App(
            "shop",
            *parts(store, pause, drain=config.drain),
            timers=[
                every(0.05, Remind(), to=reminding, name="remind", once=store.inbox),
                every(0.07, Audit(), to=auditing, name="audit", once=store.inbox),
            ],
            health=Health(port=0),
            drain=config.drain,
        )


def parts(store: SqliteStore, pause: Callable[[int], float], **options: Any) -> list[Any]:
    """The workers and the relay."""
    reminders = Worker(store.queue("reminders"), CommandBus([remind]), inbox=store.inbox, **options)
    return [*workers(store, Workshop(pause), poll=0.05, **{"lease": 30.0, **options}), reminders]


async def recover(path: str) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """Do the work that is left, later; return the findings, and the slots and effects of each timer."""
    async with opened(path, timeout=60, clock=lambda: time() + LATER) as store:
        app = App("shop", *parts(store, lambda number: 0.0))
        async with app.running():
            await finished(store)
        return await findings(store), {
            name: (
                (await rows(store, f"SELECT count(*) FROM modd_inbox WHERE id LIKE 'timer/{name}/%'"))[0][0],
                (await rows(store, f"SELECT count(*) FROM effects WHERE what = '{effect}'"))[0][0],
            )
            for name, effect in (("remind", "reminded"), ("audit", "audited"))
        }
