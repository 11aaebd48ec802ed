"""A shop for browsers: a page orders, workers handle the orders, and the page hears of each, also after a restart.

Run both programs, and open http://127.0.0.1:8001/page.html in a browser::

    python -m modd run examples.shop_web.app:shop
    python -m http.server 8001 --bind 127.0.0.1 --directory examples/shop_web
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from modd import Bus, Value
from modd.app import App, Settings
from modd.cqrs import Actor, Command, CommandBus, Emit, Event, EventBus, Query, QueryBus
from modd.gateway import Gateway, Request, accept, answer, forward
from modd.middleware import Enqueue
from modd.ports import Transaction
from modd.relay import Relay, Tee
from modd.stores import SqliteStore
from modd.worker import Worker

ACTORS = {"t-ada": Actor("ada"), "t-bob": Actor("bob")}
"""The actors by the token in their cookie; your shop looks up a session."""


class Config(Settings, prefix="SHOP_"):
    db: Path = Path("shop.db")
    listen: str = "127.0.0.1:8000"
    page: str = "http://127.0.0.1:8001"


class PlaceOrder(Command[None]):
    customer: str
    sku: str


class OrderPlaced(Event):
    customer: str
    number: int
    sku: str


class OrderShipped(Event):
    customer: str
    number: int


class Order(Value, frozen=True):
    number: int
    sku: str
    shipped: bool


class GetOrders(Query[list[Order]]):
    customer: str


async def place_order(command: PlaceOrder, tx: Transaction, emit: Emit) -> None:
    [(count,)] = await tx.fetch("SELECT count(*) FROM orders")
    await tx.execute("INSERT INTO orders VALUES (?, ?, ?, 0)", (count + 1, command.customer, command.sku))
    emit(OrderPlaced(command.customer, count + 1, command.sku))


async def ship(order: OrderPlaced, tx: Transaction, emit: Emit) -> None:
    await tx.execute("UPDATE orders SET shipped = 1 WHERE number = ?", (order.number,))
    emit(OrderShipped(order.customer, order.number))


def bus_of(store: SqliteStore) -> Bus:
    """Return the bus: commands are queued, and queries read the table."""

    async def get_orders(query: GetOrders) -> list[Order]:
        sql = "SELECT number, sku, shipped FROM orders WHERE customer = ? ORDER BY number"
        async with store.transaction() as tx:
            rows = await tx.fetch(sql, (query.customer,))
        return [Order(number, sku, bool(shipped)) for number, sku, shipped in rows]

    commands = CommandBus([place_order], middleware=[Enqueue(store.queue("commands"))])
    return Bus([commands, QueryBus([get_orders])], name="shop")


def who(request: Request) -> Actor | None:
    return ACTORS.get(request.cookie("session") or "")


def is_own(actor: Actor, message: PlaceOrder | GetOrders) -> bool:
    return actor.id == message.customer


def is_own_channel(actor: Actor, channel: str) -> bool:
    return channel == f"orders/{actor.id}"


def channel_of(event: OrderPlaced | OrderShipped) -> str:
    return f"orders/{event.customer}"


@asynccontextmanager
async def shop(config: Config) -> AsyncIterator[App]:
    """Open the store and compose the app: a table, queues, outbox and feed in one file."""
    async with SqliteStore(config.db) as store:
        async with store.transaction() as tx:
            columns = "number INTEGER PRIMARY KEY, customer TEXT, sku TEXT, shipped INTEGER"
            await tx.execute(f"CREATE TABLE IF NOT EXISTS orders ({columns})")
        bus, events, feed = bus_of(store), store.queue("events"), store.feed("public")
        gateway = Gateway(
            bus,
            accept(PlaceOrder, allow=is_own),
            answer(GetOrders, allow=is_own),
            forward(OrderPlaced, OrderShipped, to=channel_of, allow=is_own_channel),
            feed=feed,
            who=who,
            origins=[config.page],
            listen=config.listen,
        )
        yield App(
            "shop",
            gateway,
            Worker(store.queue("commands"), bus, inbox=store.inbox, outcomes=feed),
            Worker(events, EventBus([ship]), inbox=store.inbox),
            Relay(store.outbox, Tee(events, feed)),
        )
