"""Orders, stock and payments, a flow over them with a timeout, and two projections: the work of processes to kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from time import time
from typing import Any

import anyio
import msgspec

from modd import Value
from modd.aggregate import Aggregate, Instance, Rejected, only
from modd.core import Bus
from modd.cqrs import Command, Envelope, Event
from modd.cqrs.wire import TYPE
from modd.flow import End, Flow, Go, Timeout, end, go, timeout
from modd.follower import Follower
from modd.projection import Projection, Rows
from modd.stores import SqliteStore
from tests.proofs.kills import Killer
from tests.proofs.zygote import Outside

PIECES = 3
"""The stock of each article, less than there are orders for it."""


SKUS = ("lamp", "desk")


LATE = 0.03
"""Seconds after which an order that is not paid is cancelled."""


LATER = 60.0
"""Seconds that the clock of the process that goes on is ahead, so that no lease of the killed one is left."""


class Place(Command[None]):
    order: str
    sku: str


class Confirm(Command[None]):
    order: str


class Cancel(Command[None]):
    order: str
    reason: str


class Pay(Command[None]):
    order: str


class Reserve(Command[None]):
    sku: str


class Release(Command[None]):
    sku: str


class OrderPlaced(Event):
    order: str
    sku: str


class OrderConfirmed(Event):
    order: str
    sku: str


class OrderCancelled(Event):
    order: str
    sku: str
    reason: str


class PaymentConfirmed(Event):
    order: str


class StockReserved(Event):
    """Names no order: the flow that has sent the command knows it."""

    sku: str


class StockReleased(Event):
    sku: str


class Order(Value, frozen=True):
    sku: str = ""
    phase: str = "new"


class Payment(Value, frozen=True):
    paid: bool = False


class Stock(Value, frozen=True):
    reserved: int = 0


class Fulfilment(Value, frozen=True):
    order: str = ""
    sku: str = ""
    is_reserved: bool = False
    is_paid: bool = False
    is_late: bool = False


class Total(Value, frozen=True):
    placed: int = 0
    confirmed: int = 0
    cancelled: int = 0


def place(order: Instance[Order], command: Place) -> OrderPlaced:
    return OrderPlaced(command.order, command.sku)


def confirm(order: Instance[Order], command: Confirm) -> OrderConfirmed:
    return OrderConfirmed(command.order, order.state.sku)


def cancel(order: Instance[Order], command: Cancel) -> OrderCancelled:
    return OrderCancelled(command.order, order.state.sku, command.reason)


def placed(order: Order, event: OrderPlaced) -> Order:
    return Order(event.sku, "open")


def confirmed(order: Order, event: OrderConfirmed) -> Order:
    return Order(order.sku, "confirmed")


def cancelled(order: Order, event: OrderCancelled) -> Order:
    return Order(order.sku, "cancelled")


def reserve(stock: Instance[Stock], command: Reserve) -> StockReserved | Rejected:
    return Rejected("Out of stock.") if stock.state.reserved == PIECES else StockReserved(command.sku)


def release(stock: Instance[Stock], command: Release) -> StockReleased:
    return StockReleased(command.sku)


def reserved(stock: Stock, event: StockReserved) -> Stock:
    return Stock(stock.reserved + 1)


def released(stock: Stock, event: StockReleased) -> Stock:
    return Stock(stock.reserved - 1)


def pay(payment: Instance[Payment], command: Pay) -> PaymentConfirmed:
    return PaymentConfirmed(command.order)


def paid(payment: Payment, event: PaymentConfirmed) -> Payment:
    return Payment(paid=True)


def begin(flow: Fulfilment, event: OrderPlaced) -> Go[Fulfilment]:
    return go(Fulfilment(event.order, event.sku), Reserve(event.sku), timeout("payment", seconds=LATE))


def on_reserved(flow: Fulfilment, event: StockReserved) -> Go[Fulfilment] | End:
    if flow.is_late:
        return end(Release(flow.sku), Cancel(flow.order, "late"))
    if flow.is_paid:
        return end(Confirm(flow.order))
    return go(Fulfilment(flow.order, flow.sku, is_reserved=True))


def on_rejected(flow: Fulfilment, event: Rejected) -> End:
    return end(Cancel(flow.order, event.reason))


def on_paid(flow: Fulfilment, event: PaymentConfirmed) -> Go[Fulfilment] | End:
    if flow.is_reserved:
        return end(Confirm(flow.order))
    return go(Fulfilment(flow.order, flow.sku, is_paid=not flow.is_late, is_late=flow.is_late))


def on_late(flow: Fulfilment, late: Timeout) -> Go[Fulfilment] | End | None:
    if flow.is_paid:
        return None
    if flow.is_reserved:
        return end(Release(flow.sku), Cancel(flow.order, "late"))
    return go(Fulfilment(flow.order, flow.sku, is_late=True))


def count(event: OrderPlaced | OrderConfirmed, rows: Rows) -> None:
    column = "placed" if isinstance(event, OrderPlaced) else "confirmed"
    rows.execute(
        f"INSERT INTO {{sales}} (sku, {column}) VALUES (?, 1) ON CONFLICT (sku) DO UPDATE SET {column} = {column} + 1",
        (event.sku,),
    )


def add_placed(total: Total, event: OrderPlaced) -> Total:
    return Total(total.placed + 1, total.confirmed, total.cancelled)


def add_confirmed(total: Total, event: OrderConfirmed) -> Total:
    return Total(total.placed, total.confirmed + 1, total.cancelled)


def add_cancelled(total: Total, event: OrderCancelled) -> Total:
    return Total(total.placed, total.confirmed, total.cancelled + 1)


fulfilment: Flow[Fulfilment] = Flow(
    "fulfilment",
    state=Fulfilment,
    identity="order",
    begins={OrderPlaced: begin},
    reacts={StockReserved: on_reserved, Rejected: on_rejected, PaymentConfirmed: on_paid},
    timeouts={"payment": on_late},
)


sales = Projection(
    "sales",
    tables={"sales": "sku TEXT PRIMARY KEY, placed INTEGER DEFAULT 0, confirmed INTEGER DEFAULT 0"},
    events={OrderPlaced: count, OrderConfirmed: count},
)


totals = Projection(
    "totals",
    state=Total,
    key="sku",
    events={OrderPlaced: add_placed, OrderConfirmed: add_confirmed, OrderCancelled: add_cancelled},
)


class Shop:
    """The aggregates in a store, and a follower of them.

    options: of the follower.
    """

    def __init__(self, store: Any, **options: Any) -> None:
        self.store = store
        self.orders = Aggregate(
            "order",
            identity="order",
            state=Order,
            commands={
                Place: [only.if_not_exists(), place],
                Confirm: [only.if_in_phase(["open"]), confirm],
                Cancel: [only.if_in_phase(["open"]), cancel],
            },
            events={OrderPlaced: placed, OrderConfirmed: confirmed, OrderCancelled: cancelled},
            store=store,
        )
        self.stock = Aggregate(
            "stock",
            identity="sku",
            state=Stock,
            commands={Reserve: reserve, Release: release},
            events={StockReserved: reserved, StockReleased: released},
            store=store,
            snapshots=3,
        )
        self.payments = Aggregate(
            "payment",
            identity="order",
            state=Payment,
            commands={Pay: pay},
            events={PaymentConfirmed: paid},
            store=store,
        )
        desk = Bus([self.orders, self.stock, self.payments], name="desk")
        self.follower = Follower(store, [fulfilment, sales, totals], commands=desk, poll=0.05, **options)

    async def place(self, number: int) -> None:
        """Place an order, and pay two of three; each under an id of its own, so that it can be said again."""
        order = f"o{number}"
        await self.orders.dispatch(Envelope(Place(order, SKUS[number % len(SKUS)]), id=f"place-{number}"))
        if number % 3:
            await self.payments.dispatch(Envelope(Pay(order), id=f"pay-{number}"))

    async def finish(self, orders: Iterable[int]) -> None:
        """Wait until each order has its end, and nothing is left to follow."""
        for number in orders:
            while (await self.orders.get(f"o{number}")).state.phase == "open":  # noqa: ASYNC110  # others may do it
                await anyio.sleep(0.005)
        await self.follower.catch_up()


@asynccontextmanager
async def at_work(shop: Shop) -> AsyncIterator[None]:
    """Run the follower for the block."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.follower.run)
        yield
        shop.follower.stop()


class Account(Value, frozen=True):
    """The content of a store at the end, as plain data.

    events: the fields of each event, with its type. stock: the pieces that are reserved, by article. table: the rows of
    `sales`. states: those of `totals`, by article. left: things that should be empty by then, by name.
    """

    events: list[dict[str, Any]]
    stock: dict[str, int]
    table: list[Any]
    states: dict[str, Total]
    left: dict[str, Any]

    def problems(self, orders: Iterable[str]) -> list[str]:
        """Return the faults: orders without one end, stock that does not add up, projections unlike the log."""
        ends, begun = self._orders("OrderConfirmed", "OrderCancelled"), self._orders("OrderPlaced")
        wanted = Counter(orders)
        problems = [f"{name}: {found}" for name, found in (("ends", ends), ("placed", begun)) if found != wanted]
        for sku in SKUS:
            total = Total(*(self._count(kind, sku) for kind in ("OrderPlaced", "OrderConfirmed", "OrderCancelled")))
            if not self.stock[sku] == total.confirmed <= PIECES:
                problems.append(f"{sku}: {self.stock[sku]} pieces are taken for {total.confirmed} orders")
            if total.placed and [sku, total.placed, total.confirmed] not in self.table:
                problems.append(f"the table has {self.table}, the log {total} for {sku}")
            if self.states.get(sku, Total()) != total:
                problems.append(f"the states are {self.states}, the log has {total} for {sku}")
        return problems + [f"left: {name} {value}" for name, value in self.left.items() if value]

    def _orders(self, *types: str) -> Counter[str]:
        return Counter(event["order"] for event in self.events if event[TYPE] in types)

    def _count(self, type: str, sku: str) -> int:
        return sum(event[TYPE] == type and event["sku"] == sku for event in self.events)


async def account_of(shop: Shop) -> Account:
    """Look at a store whose follower has caught up."""
    store, follower = shop.store, shop.follower
    async with store.transaction() as tx:
        table = await tx.fetch("SELECT sku, placed, confirmed FROM sales ORDER BY sku")
    commands = await store.queue("follower commands").stats()
    return Account(
        [msgspec.json.decode(event.body) async for event in store.events.read_all()],
        {sku: (await shop.stock.get(sku)).state.reserved for sku in SKUS},
        [list(row) for row in table],
        dict(await totals.of(store).items()),
        {
            "commands": commands.ready + commands.delayed + commands.leased + commands.dead,
            "stuck": [each.id for each in await follower.stuck(fulfilment)],
            "lag": [lag.events for lag in [await follower.lag(part) for part in follower.parts] if lag.events],
        },
    )


async def work(outside: Outside, path: str, kill_at: int, orders: int) -> None:
    """Place orders, follow, rebuild a projection meanwhile, and be killed at a point of the store."""
    outside.tell(began=True)
    killer = Killer(kill_at, outside.tell)
    async with SqliteStore(path, connect=killer) as store:
        shop = Shop(store)
        async with at_work(shop):
            for number in range(orders):
                await shop.place(number)
                if number == orders // 2:
                    await shop.follower.rebuild(sales)
            await shop.follower.rebuild(totals)
            await shop.finish(range(orders))
    outside.tell(points=killer.points)


async def recover(outside: Outside, path: str, orders: int) -> None:
    """Place all orders again, later, follow to the end, and tell what there is then."""
    async with SqliteStore(path, clock=lambda: time() + LATER) as store:
        shop = Shop(store)
        async with at_work(shop):
            for number in range(orders):
                await shop.place(number)
            await shop.finish(range(orders))
        outside.tell(end=msgspec.to_builtins(await account_of(shop)))
