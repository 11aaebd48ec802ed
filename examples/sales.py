"""Sales by article: a table that is built anew while orders go on. Run it: ``python examples/sales.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

from modd import Value
from modd.aggregate import Aggregate, Instance
from modd.cqrs import Command, Event
from modd.follower import Follower
from modd.projection import Projection, Rows
from modd.stores import SqliteStore

ARTICLES = {"rope": 12, "lamp": 30, "knife": 8}
"""The articles with their prices."""

# Orders ---------------------------------------------------------------------------------------------------------------


class Order(Value, frozen=True):
    """The state of an order."""

    pieces: int = 0


class Place(Command[None]):
    order: str
    sku: str
    pieces: int


class OrderPlaced(Event):
    order: str
    sku: str
    pieces: int
    price: int


def place(order: Instance[Order], command: Place) -> OrderPlaced:
    return OrderPlaced(command.order, command.sku, command.pieces, ARTICLES[command.sku])


def placed(state: Order, event: OrderPlaced) -> Order:
    return Order(state.pieces + event.pieces)


orders = Aggregate("order", identity="order", state=Order, commands={Place: place}, events={OrderPlaced: placed})

# Sales ----------------------------------------------------------------------------------------------------------------


def count_pieces(event: OrderPlaced, rows: Rows) -> None:
    sql = "INSERT INTO {sales} VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET pieces = pieces + excluded.pieces"
    rows.execute(sql, (event.sku, event.pieces))


def add_revenue(event: OrderPlaced, rows: Rows) -> None:
    sql = """INSERT INTO {sales} VALUES (?, ?, ?) ON CONFLICT (sku) DO UPDATE
        SET pieces = pieces + excluded.pieces, revenue = revenue + excluded.revenue"""
    rows.execute(sql, (event.sku, event.pieces, event.pieces * event.price))


sales = Projection(
    "sales", tables={"sales": "sku TEXT PRIMARY KEY, pieces INTEGER NOT NULL"}, events={OrderPlaced: count_pieces}
)

sales_with_revenue = Projection(
    "sales",
    version=2,
    tables={"sales": "sku TEXT PRIMARY KEY, pieces INTEGER NOT NULL, revenue INTEGER NOT NULL"},
    events={OrderPlaced: add_revenue},
)

# The story ------------------------------------------------------------------------------------------------------------


async def sell(store: SqliteStore, first: int, count: int) -> None:
    """Place orders, one after another."""
    shop = orders.stored(store)
    for number in range(first, first + count):
        await shop.dispatch(Place(str(number), [*ARTICLES][number % 3], number % 2 + 1))


async def table(store: SqliteStore) -> str:
    """Return the rows of the table, as anybody reads them who opens the file."""
    async with store.transaction() as tx:
        rows = await tx.fetch("SELECT * FROM sales ORDER BY sku")
    return ", ".join(" ".join(map(str, row)) for row in rows)


def bar(done: int, total: int) -> str:
    """Return a bar that shows the share that is done."""
    full = 20 * done // total
    return f"[{'#' * full}{'.' * (20 - full)}] {done} of {total} events"


async def main() -> None:
    """Build a table, replace it by one with another column, and build that anew; orders go on meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteStore(Path(folder) / "shop.db") as store:
            await sell(store, 0, 300)
            await Follower(store, [sales]).catch_up()
            print(f"Version 1 has counted 300 orders: {await table(store)}")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sell, store, 300, 60)  # orders go on
                await Follower(store, [sales_with_revenue], batch=50).catch_up()
            print(f"Version 2 was built beside it: {len((await table(store)).split(','))} articles, with revenue")

            follower = Follower(store, [sales_with_revenue], batch=100)
            await follower.catch_up()
            print(f"It has the orders of meanwhile, too: {await table(store)}")

            bars = list[str]()
            await follower.rebuild(sales_with_revenue, lambda done, total: bars.append(bar(done, total)))
            print(*dict.fromkeys(bars), sep="\n")
            print(f"Built anew, it is the same: {await table(store)}")


if __name__ == "__main__":
    anyio.run(main)
