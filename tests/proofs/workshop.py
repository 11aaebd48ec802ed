"""What is worked on when processes are killed: commands with effects and events, keys, failures and dead letters."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing, suppress
from time import time
from typing import Any

import anyio

from modd import Bus
from modd.cqrs import CommandBus, Emit, Envelope, EventBus, GiveUp
from modd.middleware import Enqueue, Idempotency, Retryer, Transactional
from modd.ports import Transaction
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.stores.sqlite import file_lock
from modd.worker import Worker
from tests.proofs.kills import Killer
from tests.proofs.orders import CUSTOMERS, Place, Placed, customer_of, fails_first, is_poison, key_of
from tests.proofs.zygote import Outside

LATER = 3600.0
"""Seconds by which the clock of the process that goes on is ahead: all leases are over."""
LEFT = "SELECT (SELECT count(*) FROM modd_items WHERE state < 5) + (SELECT count(*) FROM modd_outbox)"
ALL = 1_000_000
APART = "a write apart"
"""What the point after a statement that is not in the transaction is called."""
LOOK, PATIENCE, LIMIT = 0.005, 120.0, 1200.0
"""Seconds between two looks at what is left, without progress until it is given up, and in all."""


class Workshop:
    """Handlers. Each effect is a row, and nothing in the table keeps it from being there twice.

    Some fail the first time that a process does them, after they have written; some always.

    pause: how many seconds an order takes, by its number. apart: a file; its totals are written there at once, and not
    in the transaction. on_apart: is called after each statement there.
    """

    def __init__(
        self,
        pause: Callable[[int], float] = lambda number: 0.0,
        apart: str | None = None,
        on_apart: Callable[[], None] = lambda: None,
    ) -> None:
        self._pause, self._apart, self._on_apart = pause, apart, on_apart
        self._failed = set[tuple[str, int]]()

    async def place(self, order: Place, tx: Transaction, emit: Emit) -> None:
        """Keeps the order, and tells of it."""
        await tx.execute("INSERT INTO effects (what, number) VALUES ('placed', ?)", (order.number,))
        emit(Placed(order.number))
        await anyio.sleep(self._pause(order.number))
        if is_poison(order.number):
            raise GiveUp("no such thing")
        self._fail_first("place", order.number, fails_first(order.number))

    async def total(self, order: Placed, tx: Transaction) -> None:
        """Counts for each customer: done twice, the total would be wrong."""
        execute = tx.execute if self._apart is None else self._execute_apart
        await execute("INSERT INTO effects (what, number) VALUES ('counted', ?)", (order.number,))
        await execute("UPDATE totals SET orders = orders + 1 WHERE customer = ?", (customer_of(order.number),))

    async def mail(self, order: Placed, tx: Transaction) -> None:
        """Another handler of the event, which fails for itself."""
        await tx.execute("INSERT INTO effects (what, number) VALUES ('mailed', ?)", (order.number,))
        self._fail_first("mail", order.number, order.number % 4 == 2)

    async def _execute_apart(self, sql: str, parameters: tuple[Any, ...]) -> None:
        with closing(sqlite3.connect(str(self._apart), isolation_level=None)) as connection:
            connection.execute(sql, parameters)
        self._on_apart()

    def _fail_first(self, what: str, number: int, fails: bool) -> None:
        if fails and (what, number) not in self._failed:
            self._failed.add((what, number))
            raise RuntimeError("not yet")


@asynccontextmanager
async def opened(path: str, **options: Any) -> AsyncIterator[SqliteStore]:
    """A store with the tables of the workshop."""
    async with SqliteStore(path, **options) as store:
        async with store.transaction() as tx:
            if not await tx.fetch("SELECT 1 FROM sqlite_master WHERE name = 'totals'"):
                await tx.execute("CREATE TABLE effects (row INTEGER PRIMARY KEY, what TEXT, number INTEGER)")
                await tx.execute("CREATE TABLE totals (customer TEXT PRIMARY KEY, orders INTEGER)")
                for customer in CUSTOMERS:
                    await tx.execute("INSERT INTO totals VALUES (?, 0)", (customer,))
        yield store


async def accept(store: SqliteStore, numbers: Iterable[int], outside: Outside | None = None) -> list[int]:
    """Put orders into the queue, tell of each that was accepted, and return their numbers."""
    queueing = Enqueue(store.queue("commands"), key=lambda envelope: key_of(envelope.message.number))
    return await place_all(CommandBus([Workshop().place], middleware=[queueing]), numbers, outside)


async def ask(store: SqliteStore, shop: Workshop, numbers: Iterable[int], outside: Outside, careless: bool) -> None:
    """Place orders outside of a worker, and tell of each that stands; one that stood before is not placed again."""
    events = store.queue("events")
    transaction: Any = (
        Careless(store) if careless else Transactional(store, key=lambda each: key_of(each.message.number))
    )
    once, retryer = Idempotency(store=store.cache), Retryer(backoff="none")
    desk = CommandBus([shop.place], middleware=[once, retryer, transaction])
    told = EventBus([shop.total, shop.mail], middleware=[Enqueue(events)])
    await place_all(Bus([desk, told]), numbers, outside)


class Careless:
    """A transaction that is committed before the events are put into their queue."""

    role = "transaction"

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def __call__(self, envelope: Any, call_next: Any) -> None:
        async with self._store.transaction():
            await call_next(envelope)


async def place_all(desk: Any, numbers: Iterable[int], outside: Outside | None) -> list[int]:
    """Place the orders of each customer in their order, tell of each that was taken, and return their numbers."""
    accepted: list[int] = []

    async def of_customer(customer: str) -> None:
        for number in numbers:
            if customer_of(number) == customer:
                with suppress(GiveUp):
                    await desk.dispatch(Envelope(Place(number), id=f"order-{number}"))
                    accepted.append(number)
                    if outside is not None:
                        outside.tell(accepted=number)

    async with anyio.create_task_group() as tasks:
        for customer in CUSTOMERS:
            tasks.start_soon(of_customer, customer)
    return accepted


def workers(store: SqliteStore, shop: Workshop, **options: Any) -> tuple[Worker, Worker, Relay]:
    """What does all the work of a shop. options: of the workers.

    No message has had too many attempts: on a machine that stands still, a short lease is lost again and again.
    """
    commands, events = store.queue("commands"), store.queue("events")
    options = {"inbox": store.inbox, "backoff": "none", "attempts": ALL, **options}
    return (
        Worker(commands, CommandBus([shop.place]), **options),
        Worker(events, EventBus([shop.total, shop.mail]), **options),
        Relay(store.outbox, events, batch=3, lease=options["lease"]),
    )


@asynccontextmanager
async def at_work(store: SqliteStore, shop: Workshop, lease: float = 30.0) -> AsyncIterator[None]:
    """Workers and a relay for as long as the block lasts."""
    async with anyio.create_task_group() as tasks:
        for worker in workers(store, shop, lease=lease):
            tasks.start_soon(worker.run)
        yield
        tasks.cancel_scope.cancel()


async def finished(store: SqliteStore) -> None:
    """Wait until nothing is left but what is buried, for as long as there is progress: a machine may be slow."""
    last = 0
    with anyio.fail_after(LIMIT), anyio.fail_after(PATIENCE) as patience:
        while left := (await rows(store, LEFT))[0][0]:
            if left != last:
                last, patience.deadline = left, anyio.current_time() + PATIENCE
            await anyio.sleep(LOOK)


async def rows(store: SqliteStore, sql: str) -> list[Any]:
    """What a statement reads."""
    async with store.transaction() as tx:
        return await tx.fetch(sql)


def allow_locks(locks: bool) -> None:
    """Have files locked in this process, or not, as on a system without locks."""
    if not locks:
        setattr(file_lock, "fcntl", None)  # noqa: B010  # no name that it exports; its process ends with the job


async def put(outside: Outside, path: str, orders: int) -> None:
    """A process that accepts orders."""
    async with opened(path) as store:
        await accept(store, range(orders), outside)


async def work(
    outside: Outside,
    path: str,
    kill_at: int | str = 0,
    orders: int = 0,
    lease: float = 30.0,
    careless: bool = False,
    asks: bool = False,
    locks: bool = True,
) -> None:
    """A process that works, and is killed at a point; it accepts so many orders while it works, or asks for them."""
    allow_locks(locks)
    outside.tell(began=True)
    killer = Killer(kill_at, outside.tell)
    apart = path if careless and not asks else None
    shop = Workshop(apart=apart, on_apart=lambda: killer.pass_point("after", APART))
    async with opened(path, connect=killer) as store:
        async with at_work(store, shop, lease):
            if asks:
                await ask(store, shop, range(orders), outside, careless)
            else:
                await accept(store, range(orders), outside)
            await finished(store)
        outside.tell(mode=store.journal.mode)
    outside.tell(points=killer.points)


async def recover(outside: Outside, path: str, asked: int = 0, locks: bool = True) -> None:
    """A process that does what is left, later, and tells what there is at the end.

    asked: how many orders were asked for; all of them are asked for again.
    """
    allow_locks(locks)
    async with opened(path, clock=lambda: time() + LATER) as store:
        shop = Workshop()
        async with at_work(store, shop):
            await ask(store, shop, range(asked), outside, careless=False)
            await finished(store)
        outside.tell(**await findings(store))


async def findings(store: SqliteStore) -> dict[str, Any]:
    """What there is at the end."""
    return {
        "effects": await rows(store, "SELECT what, number FROM effects ORDER BY row"),
        "totals": dict(await rows(store, "SELECT customer, orders FROM totals")),
        "dead": [(dead.id, dead.reason) for dead in await store.queue("commands").dead(ALL)],
        "dead_events": len(await store.queue("events").dead(ALL)),
        "integrity": [list(row) for row in await rows(store, "PRAGMA integrity_check")],
        "mode": store.journal.mode,
    }
