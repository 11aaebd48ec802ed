"""Orders that survive: a worker process is killed in the middle, another goes on, and the totals are right.

Run it: ``python examples/orders.py``. It keeps everything in one file, in a new folder or where you say.
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
"""Seconds after which what a killed worker had claimed is given to another; the default is half a minute."""
CUSTOMERS = ("Ada", "Grace", "Kay")


class PlaceOrder(Command[None]):
    """Somebody orders something for so many cents."""

    number: int
    customer: str
    cents: int


class OrderPlaced(Event):
    """An order stands."""

    number: int
    customer: str
    cents: int


async def place_order(order: PlaceOrder, tx: Transaction, emit: Emit) -> None:
    """Keeps the order. The row, the event and the end of the command are one transaction."""
    await tx.execute("INSERT INTO orders VALUES (?, ?, ?)", (order.number, order.customer, order.cents))
    emit(OrderPlaced(order.number, order.customer, order.cents))


async def add_to_total(order: OrderPlaced, tx: Transaction) -> None:
    """Counts for each customer; done twice, the totals would be wrong."""
    await tx.execute("UPDATE totals SET cents = cents + ? WHERE customer = ?", (order.cents, order.customer))


async def count_order(order: OrderPlaced, tx: Transaction) -> None:
    """Another handler of the same event, which is done and retried for itself."""
    await tx.execute("UPDATE totals SET orders = orders + 1 WHERE customer = ?", (order.customer,))


async def work(path: str) -> None:
    """What the worker process does: commands, the events that they cause, and the way from one to the other."""
    async with SqliteStore(path) as store:
        commands, events = store.queue("commands"), store.queue("events")
        await run_workers(
            Worker(commands, CommandBus([place_order]), lease=LEASE),
            Worker(events, EventBus([add_to_total, count_order]), lease=LEASE),
            Relay(store.outbox, events, lease=LEASE),
        )


async def accept(store: SqliteStore) -> None:
    """What the web process does: commands are safe in the queue before anybody is told so."""
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


async def counted(store: SqliteStore) -> int:
    """How many orders are in the totals."""
    async with store.transaction() as tx:
        [[orders]] = await tx.fetch("SELECT sum(orders) FROM totals")
    return int(orders)


async def started(path: str) -> Process:
    """A worker in a process of its own."""
    command = [sys.executable, __file__, "work", path]
    return await anyio.open_process(command, stdin=None, stdout=None, stderr=None)


async def kill_in_the_middle(store: SqliteStore, worker: Process) -> None:
    """Lets the worker do a part of the work, and kills it without a warning."""
    while await counted(store) < ORDERS // 3:  # noqa: ASYNC110  # another process counts
        await anyio.sleep(0.01)
    worker.kill()
    await worker.wait()
    print(f"killed a worker: {'some' if await counted(store) < ORDERS else 'all'} of {ORDERS} orders are counted")


async def main(path: str) -> None:
    """Accepts orders, has them worked on by a process that is killed and one that is not, and adds up."""
    async with SqliteStore(path) as store:
        await accept(store)
        print(f"accepted {ORDERS} orders")
        await kill_in_the_middle(store, await started(path))
        worker = await started(path)
        while await unfinished(store):  # noqa: ASYNC110  # another process works
            await anyio.sleep(0.01)
        worker.terminate()
        print(f"the next worker has ended: {await worker.wait()}")
        async with store.transaction() as tx:
            for row in await tx.fetch("SELECT * FROM totals ORDER BY customer"):
                print("{}: {} orders, {} cents".format(*row))


async def unfinished(store: SqliteStore) -> int:
    """How much is left to do."""
    queues = [await store.queue(name).stats() for name in ("commands", "events")]
    return ORDERS - await counted(store) + sum(each.ready + each.delayed + each.leased for each in queues)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        anyio.run(work, sys.argv[2])
    elif sys.argv[1:]:
        anyio.run(main, sys.argv[1])
    else:
        with TemporaryDirectory() as folder:
            anyio.run(main, str(Path(folder, "orders.db")))
