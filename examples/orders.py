"""Orders that survive: a worker process is killed in the middle, a second one goes on, and the totals are right.

Run ``python examples/orders.py``. It keeps all data in one file, in a new folder or at the path that you pass.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from anyio.abc import Process

from modd.cqrs import Command, CommandBus, Emit, Envelope, Event, EventBus, Next
from modd.middleware import Enqueue
from modd.ports import Transaction
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.worker import Worker, run_workers

ORDERS = 300
HALFWAY = ORDERS // 2
"""The order that the first worker does not finish."""
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


async def hang(envelope: Envelope[Any], call_next: Next) -> None:
    """Hang in the middle of the work: an order is stored, and its transaction is not committed yet."""
    await call_next(envelope)
    if envelope.message.number == HALFWAY:
        print("halfway", flush=True)
        await anyio.sleep_forever()


async def work_and_hang(path: str) -> None:
    """Run the first worker process. A second after it is killed, its messages can be claimed again."""
    await work(path, CommandBus([place_order], middleware=[hang]), lease=1.0)


async def work_on(path: str) -> None:
    """Run the second worker process, with the usual lease of half a minute."""
    await work(path, CommandBus([place_order]), lease=30.0)


async def work(path: str, bus: CommandBus, lease: float) -> None:
    """Run a worker for commands, one for events, and the relay between them, until a signal comes."""
    async with SqliteStore(path) as store:
        commands, events = store.queue("commands"), store.queue("events")
        await run_workers(
            Worker(commands, bus, lease=lease),
            Worker(events, EventBus([add_to_total, count_order]), lease=lease),
            Relay(store.outbox, events, lease=lease),
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


async def start_worker(program: str, path: str) -> Process:
    """Start a worker in a process of its own."""
    command = [sys.executable, __file__, program, path]
    return await anyio.open_process(command, stdin=None, stdout=subprocess.PIPE, stderr=None)


async def kill_halfway(worker: Process) -> None:
    """Kill the worker without a warning when it tells that it is in the middle of its work."""
    async with worker:
        assert worker.stdout is not None
        await worker.stdout.receive()
        worker.kill()
    print(f"killed a worker in the middle of order {HALFWAY}")


async def stop_when_done(worker: Process, store: SqliteStore) -> None:
    """Wait until all orders are done, and tell the worker to end."""
    async with worker:
        while await count_unfinished(store):  # noqa: ASYNC110  # the worker process works
            await anyio.sleep(0.01)
        worker.terminate()
    print(f"the next worker has ended: {worker.returncode}")


async def main(path: str) -> None:
    """Accept orders, have them handled by a process that is killed and by a second one, and print the totals."""
    async with SqliteStore(path) as store:
        await accept(store)
        print(f"accepted {ORDERS} orders")
        await kill_halfway(await start_worker("work-and-hang", path))
        await stop_when_done(await start_worker("work-on", path), store)
        async with store.transaction() as tx:
            for row in await tx.fetch("SELECT * FROM totals ORDER BY customer"):
                print("{}: {} orders, {} cents".format(*row))


async def count_unfinished(store: SqliteStore) -> int:
    """Return the number of orders and messages that are not done.

    The orders are counted first: when the last one is counted, all that is left is in the queues.
    """
    uncounted = ORDERS - await count_orders(store)
    queues = [await store.queue(name).stats() for name in ("commands", "events")]
    return uncounted + sum(each.ready + each.delayed + each.leased for each in queues)


WORKERS = {"work-and-hang": work_and_hang, "work-on": work_on}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in WORKERS:
        anyio.run(WORKERS[sys.argv[1]], sys.argv[2])
    elif sys.argv[1:]:
        anyio.run(main, sys.argv[1])
    else:
        with TemporaryDirectory() as folder:
            anyio.run(main, str(Path(folder, "orders.db")))
