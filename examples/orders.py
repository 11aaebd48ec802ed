"""Orders that survive: an app is killed in the middle of its work, a second one goes on, and the totals are right."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from modd.app import App, Settings
from modd.cqrs import Command, CommandBus, Emit, Event, EventBus
from modd.middleware import Enqueue
from modd.ports import Transaction
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.worker import Worker

ORDERS, CUSTOMERS, FOLDER = 300, ("Ada", "Grace", "Kay"), Path(__file__).parent


class Config(Settings, prefix="ORDERS_"):
    db: Path


class PlaceOrder(Command[None]):
    number: int
    customer: str


class OrderPlaced(Event):
    customer: str
    cents: int


async def place_order(order: PlaceOrder, tx: Transaction, emit: Emit) -> None:
    """Store the order. The row, the event and the acknowledgement of the command are one transaction."""
    await tx.execute("INSERT INTO orders VALUES (?, ?)", (order.number, order.customer))
    emit(OrderPlaced(order.customer, 100 + order.number))


async def add_to_total(order: OrderPlaced, tx: Transaction) -> None:
    """Add to the total of the customer; done twice, the total would be wrong."""
    sql = "INSERT INTO totals VALUES (?, 1, ?) ON CONFLICT (customer) DO UPDATE SET n = n + 1, cents = cents + ?"
    await tx.execute(sql, (order.customer, order.cents, order.cents))


@asynccontextmanager
async def orders(config: Config) -> AsyncIterator[App]:
    """Open the store and compose the app. A second after it is killed, its messages can be claimed again."""
    async with SqliteStore(config.db) as store:
        commands, events = store.queue("commands"), store.queue("events")
        yield App(
            "orders",
            Worker(commands, CommandBus([place_order]), lease=1),
            Worker(events, EventBus([add_to_total]), lease=1),
            Relay(store.outbox, events, lease=1),
        )


async def totals_of(orders: int, store: SqliteStore) -> list[tuple[str, int, int]]:
    rows: list[tuple[str, int, int]] = []
    while sum(n for _, n, _ in rows) < orders:
        await anyio.sleep(0.01)
        async with store.transaction() as tx:
            rows = [(who, n, cents) for who, n, cents in await tx.fetch("SELECT * FROM totals ORDER BY customer")]
    return rows


async def main(path: Path) -> None:
    async with SqliteStore(path) as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY, customer TEXT)")
            await tx.execute("CREATE TABLE totals (customer TEXT PRIMARY KEY, n INTEGER, cents INTEGER)")
        desk = CommandBus([place_order], middleware=[Enqueue(store.queue("commands"))])
        for number in range(ORDERS):
            await desk.dispatch(PlaceOrder(number, CUSTOMERS[number % 3]))
        os.environ |= {"ORDERS_DB": str(path), "MODD_LOG_LEVEL": "ERROR"}
        async with await anyio.open_process([sys.executable, "-m", "modd", "run", "orders:orders"], cwd=FOLDER) as app:
            await totals_of(ORDERS // 3, store)
            app.kill()
        async with orders(Config.load()) as again, again.running():
            for row in await totals_of(ORDERS, store):
                print("{}: {} orders, {} cents".format(*row))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        anyio.run(main, Path(folder, "orders.db"))
