"""Orders that survive: an app is killed in the middle of its work, a second one goes on, and the totals are right."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

import anyio

from modd.app import App
from modd.cqrs import Command, CommandBus, Emit, Event, EventBus
from modd.middleware import Enqueue
from modd.ports import Transaction
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.worker import Worker

ORDERS, CUSTOMERS = 300, ("Ada", "Grace", "Kay")


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
async def shop(path: str) -> AsyncIterator[App]:
    """Open the store and compose the app. A second after it is killed, its messages can be claimed again."""
    async with SqliteStore(path) as store:
        commands, events = store.queue("commands"), store.queue("events")
        yield App(
            "shop",
            Worker(commands, CommandBus([place_order]), lease=1),
            Worker(events, EventBus([add_to_total]), lease=1),
            Relay(store.outbox, events, lease=1),
        )


async def run(path: str) -> None:
    async with shop(path) as app:
        await app.run()


async def wait_for(orders: int, store: SqliteStore) -> None:
    found = 0
    while found < orders:
        await anyio.sleep(0.01)
        async with store.transaction() as tx:
            [[found]] = await tx.fetch("SELECT total(n) FROM totals")


async def main(path: str) -> None:
    """Accept orders, have one process begin to handle them, kill it, finish them in this one, and print the totals."""
    async with SqliteStore(path) as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY, customer TEXT)")
            await tx.execute("CREATE TABLE totals (customer TEXT PRIMARY KEY, n INTEGER, cents INTEGER)")
        desk = CommandBus([place_order], middleware=[Enqueue(store.queue("commands"))])
        for number in range(ORDERS):
            await desk.dispatch(PlaceOrder(number, CUSTOMERS[number % 3]))
        async with await anyio.open_process([sys.executable, __file__, path], stdout=None, stderr=None) as process:
            await wait_for(ORDERS // 3, store)
            process.kill()
        async with shop(path) as app, app.running():
            await wait_for(ORDERS, store)
        async with store.transaction() as tx:
            for row in await tx.fetch("SELECT * FROM totals ORDER BY customer"):
                print("{}: {} orders, {} cents".format(*row))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        anyio.run(*((run, sys.argv[1]) if sys.argv[1:] else (main, f"{folder}/orders.db")))
