"""Orders that survive: a worker process is killed in the middle, a second one goes on, and the totals are right.

Run ``python examples/orders.py``. It keeps all data in one file, in a new folder or at the path that you pass.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from anyio.abc import Process

from modd.cqrs import Command, CommandBus, Emit, Event, EventBus
from modd.middleware import Enqueue
from modd.ports import Transaction
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.worker import Worker, run_workers

ORDERS = 300
LEASE = 1.0
"""Seconds until the messages of a killed worker can be claimed again; the default is half a minute."""
CUSTOMERS = ("Ada", "Grace", "Kay")


class PlaceOrder(Command[None]):
    """Place an order of a customer."""

    number: int
    customer: str
    cents: int


class OrderPlaced(Event):
    """An order was placed."""

    number: int
    customer: str
    cents: int


async def place_order(order: PlaceOrder, tx: Transaction, emit: Emit) -> None:
    """Store the order. The row, the event and the acknowledgement of the command are one transaction."""
    await tx.execute("INSERT INTO orders VALUES (?, ?, ?)", (order.number, order.customer, order.cents))
    emit(OrderPlaced(order.number, order.customer, order.cents))


async def add_to_total(order: OrderPlaced, tx: Transaction) -> None:
    """Add to the total of the customer; done twice, the total would be wrong."""
    await tx.execute("UPDATE totals SET cents = cents + ? WHERE customer = ?", (order.cents, order.customer))


async def count_order(order: OrderPlaced, tx: Transaction) -> None:
    """Count the order: a second handler of the same event, which is retried by itself."""
    await tx.execute("UPDATE totals SET orders = orders + 1 WHERE customer = ?", (order.customer,))


async def work(path: str) -> None:
    """Run the worker process: a worker for commands, one for events, and the relay between them."""
    async with SqliteStore(path) as store:
        commands, events = store.queue("commands"), store.queue("events")
        await run_workers(
            Worker(commands, CommandBus([place_order]), lease=LEASE),
            Worker(events, EventBus([add_to_total, count_order]), lease=LEASE),
            Relay(store.outbox, events, lease=LEASE),
        )


async def accept(store: SqliteStore) -> None:
    """Do the work of a web process: queue commands, which are safe on disk when `dispatch` returns."""
    async with store.transaction() as tx:
        await tx.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY, customer TEXT, cents INTEGER)")
        await tx.execute("CREATE TABLE totals (customer TEXT PRIMARY KEY, orders INTEGER, cents INTEGER)")
        for customer in CUSTOMERS:
            await tx.execute("INSERT INTO totals VALUES (?, 0, 0)", (customer,))
    queue = store.queue("commands")
    desk = CommandBus([place_order], middleware=[Enqueue(queue, key=lambda envelope: envelope.message.customer)])
    async with anyio.create_task_group() as tasks:
        for number in range(ORDERS):
            tasks.start_soon(desk.dispatch, PlaceOrder(number, CUSTOMERS[number % 3], 100 + number))


async def count_orders(store: SqliteStore) -> int:
    """Return the number of orders in the totals."""
    async with store.transaction() as tx:
        [[orders]] = await tx.fetch("SELECT sum(orders) FROM totals")
    return int(orders)


async def start_worker(path: str) -> Process:
    """Start a worker in a process of its own."""
    command = [sys.executable, __file__, "work", path]
    return await anyio.open_process(command, stdin=None, stdout=None, stderr=None)


async def kill_in_the_middle(store: SqliteStore, worker: Process) -> None:
    """Kill the worker without a warning, after a third of the work."""
    while await count_orders(store) < ORDERS // 3:  # noqa: ASYNC110  # the worker process counts
        await anyio.sleep(0.01)
    worker.kill()
    await worker.wait()
    print(f"killed a worker: {'some' if await count_orders(store) < ORDERS else 'all'} of {ORDERS} orders are counted")


async def main(path: str) -> None:
    """Accept orders, have them handled by a process that is killed and by a second one, and print the totals."""
    async with SqliteStore(path) as store:
        await accept(store)
        print(f"accepted {ORDERS} orders")
        await kill_in_the_middle(store, await start_worker(path))
        worker = await start_worker(path)
        while await count_unfinished(store):  # noqa: ASYNC110  # the worker process works
            await anyio.sleep(0.01)
        worker.terminate()
        print(f"the next worker has ended: {await worker.wait()}")
        async with store.transaction() as tx:
            for row in await tx.fetch("SELECT * FROM totals ORDER BY customer"):
                print("{}: {} orders, {} cents".format(*row))


async def count_unfinished(store: SqliteStore) -> int:
    """Return the number of orders and messages that are not done."""
    queues = [await store.queue(name).stats() for name in ("commands", "events")]
    return ORDERS - await count_orders(store) + sum(each.ready + each.delayed + each.leased for each in queues)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        anyio.run(work, sys.argv[2])
    elif sys.argv[1:]:
        anyio.run(main, sys.argv[1])
    else:
        with TemporaryDirectory() as folder:
            anyio.run(main, str(Path(folder, "orders.db")))
