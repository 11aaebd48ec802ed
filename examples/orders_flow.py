"""Orders that are paid in time, or not: a flow over three aggregates. Run it: ``python examples/orders_flow.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

from modd import Bus, Value
from modd.aggregate import Aggregate, Instance, Rejected
from modd.cqrs import Codec, Command, Event
from modd.flow import End, Flow, Go, Timeout, end, go, timeout
from modd.follower import Follower
from modd.stores import SqliteStore

# Orders


class Order(Value, frozen=True):
    """The state of an order. phase: "new", "placed", "confirmed" or "cancelled"."""

    phase: str = "new"


class Place(Command[None]):
    order: str
    sku: str
    price: int


class Confirm(Command[None]):
    order: str


class Cancel(Command[None]):
    order: str
    reason: str


class OrderPlaced(Event):
    order: str
    sku: str
    price: int


class OrderConfirmed(Event):
    order: str


class OrderCancelled(Event):
    order: str
    reason: str


def place(order: Instance[Order], command: Place) -> OrderPlaced | Rejected:
    if order.exists():
        return Rejected("Order exists already.")
    return OrderPlaced(command.order, command.sku, command.price)


def confirm(order: Instance[Order], command: Confirm) -> OrderConfirmed:
    return OrderConfirmed(command.order)


def cancel(order: Instance[Order], command: Cancel) -> OrderCancelled:
    return OrderCancelled(command.order, command.reason)


orders = Aggregate(
    "order",
    state=Order,
    identity="order",
    commands={Place: place, Confirm: confirm, Cancel: cancel},
    events={
        OrderPlaced: lambda state, event: Order("placed"),
        OrderConfirmed: lambda state, event: Order("confirmed"),
        OrderCancelled: lambda state, event: Order("cancelled"),
    },
)

# Stock: it knows of no orders


class Shelf(Value, frozen=True):
    """The state of a kind of goods. pieces: those that are free."""

    pieces: int = 0


class Deliver(Command[None]):
    sku: str
    pieces: int


class Reserve(Command[None]):
    sku: str


class Release(Command[None]):
    sku: str


class Delivered(Event):
    sku: str
    pieces: int


class StockReserved(Event):
    sku: str


class StockReleased(Event):
    sku: str


def deliver(shelf: Instance[Shelf], command: Deliver) -> Delivered:
    return Delivered(command.sku, command.pieces)


def reserve(shelf: Instance[Shelf], command: Reserve) -> StockReserved | Rejected:
    return StockReserved(command.sku) if shelf.state.pieces else Rejected("Sold out.")


def release(shelf: Instance[Shelf], command: Release) -> StockReleased:
    return StockReleased(command.sku)


stock = Aggregate(
    "stock",
    state=Shelf,
    identity="sku",
    commands={Deliver: deliver, Reserve: reserve, Release: release},
    events={
        Delivered: lambda state, event: Shelf(state.pieces + event.pieces),
        StockReserved: lambda state, event: Shelf(state.pieces - 1),
        StockReleased: lambda state, event: Shelf(state.pieces + 1),
    },
)

# Payments


class Payment(Value, frozen=True):
    """The state of a payment. phase: "none", "open", "paid" or "closed"."""

    phase: str = "none"


class OpenPayment(Command[None]):
    order: str
    price: int


class Pay(Command[None]):
    order: str


class ClosePayment(Command[None]):
    order: str


class PaymentOpened(Event):
    order: str
    price: int


class PaymentConfirmed(Event):
    order: str


class PaymentClosed(Event):
    order: str


def open_payment(payment: Instance[Payment], command: OpenPayment) -> PaymentOpened:
    return PaymentOpened(command.order, command.price)


def pay(payment: Instance[Payment], command: Pay) -> PaymentConfirmed | Rejected:
    return PaymentConfirmed(command.order) if payment.state.phase == "open" else Rejected("Nothing to pay.")


def close_payment(payment: Instance[Payment], command: ClosePayment) -> PaymentClosed | Rejected:
    return PaymentClosed(command.order) if payment.state.phase == "open" else Rejected("It is paid.")


payments = Aggregate(
    "payment",
    state=Payment,
    identity="order",
    commands={OpenPayment: open_payment, Pay: pay, ClosePayment: close_payment},
    events={
        PaymentOpened: lambda state, event: Payment("open"),
        PaymentConfirmed: lambda state, event: Payment("paid"),
        PaymentClosed: lambda state, event: Payment("closed"),
    },
)

# The flow: from the order to its confirmation, or back


class Fulfilment(Value, frozen=True):
    """The state of an order on its way."""

    order: str = ""
    sku: str = ""
    price: int = 0


def placed(flow: Fulfilment, event: OrderPlaced) -> Go[Fulfilment]:
    return go(Fulfilment(event.order, event.sku, event.price), Reserve(event.sku))


def reserved(flow: Fulfilment, event: StockReserved) -> Go[Fulfilment]:
    return go(flow, OpenPayment(flow.order, flow.price), timeout("payment", minutes=30))


def paid(flow: Fulfilment, event: PaymentConfirmed) -> End:
    return end(Confirm(flow.order))


def unpaid(flow: Fulfilment, late: Timeout) -> Go[Fulfilment]:
    """Ask the payment to close: it alone knows if it was paid in this very moment, which is then a rejection."""
    return go(flow, ClosePayment(flow.order))


def closed(flow: Fulfilment, event: PaymentClosed) -> End:
    return end(Release(flow.sku), Cancel(flow.order, "Not paid in time."))


def refused(flow: Fulfilment, event: Rejected) -> End:
    """End: the stock has refused, because a rejection of `ClosePayment` comes behind the payment, to an ended flow."""
    return end(Cancel(flow.order, event.reason))


fulfilment = Flow(
    "fulfilment",
    state=Fulfilment,
    identity="order",
    begins={OrderPlaced: placed},
    reacts={StockReserved: reserved, PaymentConfirmed: paid, PaymentClosed: closed, Rejected: refused},
    timeouts={"payment": unpaid},
)

# The story


class Clock:
    """A clock that you set, so that half an hour takes no time."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


log = Codec(
    [
        OrderPlaced,
        OrderConfirmed,
        OrderCancelled,
        Delivered,
        StockReserved,
        StockReleased,
        PaymentOpened,
        PaymentConfirmed,
        PaymentClosed,
        Rejected,
    ]
)
"""Decodes the events of all aggregates."""


class Shop:
    """The aggregates and the flow on one store. It prints the events that follow from commands."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self._position = store, 0
        self._desk = Bus([each.stored(store) for each in (orders, stock, payments)], name="desk")
        self._follower = Follower(store, [fulfilment], commands=self._desk)

    async def tell(self, title: str, *commands: Command[None]) -> None:
        """Dispatch commands, have all done that follows, and print the events."""
        await self._follower.catch_up()
        for command in commands:
            await self._desk.dispatch(command)
            await self._follower.catch_up()
        print(title)
        async for stored in self._store.events.read_all(self._position):
            self._position = stored.position
            print("  ", log.decode_message(stored.body))


async def tell_all(path: Path) -> None:
    clock = Clock()
    async with SqliteStore(path, clock=clock) as store:
        shop = Shop(store)
        await shop.tell("Ada orders the last tea:", Deliver("tea", 1), Place("ada-1", "tea", 500))
        await shop.tell("Bob orders tea, too:", Place("bob-1", "tea", 500))
        clock.now += 30 * 60
        await shop.tell("Half an hour later, Ada has not paid:")
        await shop.tell("Bob tries again, and pays:", Place("bob-2", "tea", 500), Pay("bob-2"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(tell_all, Path(folder) / "orders.db")
