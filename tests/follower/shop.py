"""A shop with a flow over two aggregates: an order reserves stock, waits for its payment, and is shipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import msgspec

from modd import Bus, Value
from modd.aggregate import Aggregate, Instance, Mark
from modd.aggregate.rejected import Rejected
from modd.concurrency.blocks import async_block
from modd.cqrs import Codec, Command, Envelope, Event
from modd.flow import End, Flow, Go, Timeout, cancel_timeout, end, go, timeout
from modd.follower import Follower


class Place(Command[None]):
    order: str
    sku: str = "tea"


class Pay(Command[None]):
    order: str


class Ship(Command[None]):
    order: str


class Cancel(Command[None]):
    order: str
    reason: str


class Reserve(Command[None]):
    sku: str


class Release(Command[None]):
    sku: str


class Refill(Command[None]):
    sku: str
    pieces: int


class Placed(Event):
    order: str
    sku: str


class Paid(Event):
    order: str


class Shipped(Event):
    order: str


class Cancelled(Event):
    order: str
    reason: str


class Reserved(Event):
    sku: str


class Released(Event):
    sku: str


class Refilled(Event):
    sku: str
    pieces: int


class Order(Value, frozen=True):
    """An order: the events that it has."""

    seen: tuple[str, ...] = ()


class Stock(Value, frozen=True):
    """The pieces of a product."""

    pieces: int = 0


def place(order: Instance[Order], command: Place, mark: Mark) -> None:
    order.publish(Placed(command.order, command.sku))
    mark.as_done()


def pay(order: Instance[Order], command: Pay, mark: Mark) -> None:
    order.publish(Paid(command.order))
    mark.as_done()


def ship(order: Instance[Order], command: Ship, mark: Mark) -> None:
    order.publish(Shipped(command.order))
    mark.as_done()


def cancel(order: Instance[Order], command: Cancel, mark: Mark) -> None:
    order.publish(Cancelled(command.order, command.reason))
    mark.as_done()


def see(order: Order, event: Any) -> Order:
    return Order((*order.seen, type(event).__name__))


def reserve(stock: Instance[Stock], command: Reserve, mark: Mark) -> None:
    if not stock.state.pieces:
        return mark.as_rejected("out of stock")
    stock.publish(Reserved(command.sku))
    mark.as_done()


def release(stock: Instance[Stock], command: Release, mark: Mark) -> None:
    stock.publish(Released(command.sku))
    mark.as_done()


def refill(stock: Instance[Stock], command: Refill, mark: Mark) -> None:
    stock.publish(Refilled(command.sku, command.pieces))
    mark.as_done()


orders = Aggregate(
    "order",
    state=Order,
    identity="order",
    commands={Place: [place], Pay: [pay], Ship: [ship], Cancel: [cancel]},
    events=dict.fromkeys((Placed, Paid, Shipped, Cancelled), see),
)


stocks = Aggregate(
    "stock",
    state=Stock,
    identity="sku",
    commands={Reserve: [reserve], Release: [release], Refill: [refill]},
    events={
        Reserved: lambda stock, _: Stock(stock.pieces - 1),
        Released: lambda stock, _: Stock(stock.pieces + 1),
        Refilled: lambda stock, event: Stock(stock.pieces + event.pieces),
    },
)


class Fulfilment(Value, frozen=True):
    """The state of an order on its way."""

    order: str = ""
    sku: str = ""
    paid: bool = False
    reserved: bool = False


def placed(flow: Fulfilment, event: Placed) -> Go[Fulfilment]:
    return go(Fulfilment(event.order, event.sku), Reserve(event.sku), timeout("payment", minutes=30))


def reserved(flow: Fulfilment, event: Reserved) -> Go[Fulfilment] | End:
    if flow.paid:
        return end(Ship(flow.order))
    return go(msgspec.structs.replace(flow, reserved=True))


def paid(flow: Fulfilment, event: Paid) -> Go[Fulfilment] | End:
    if flow.reserved:
        return end(Ship(flow.order))
    return go(msgspec.structs.replace(flow, paid=True), cancel_timeout("payment"))


def refused(flow: Fulfilment, event: Rejected) -> End:
    return end(Cancel(flow.order, event.reason))


def unpaid(flow: Fulfilment, late: Timeout) -> End:
    return end(Release(flow.sku), Cancel(flow.order, "not paid in time"))


fulfilment = Flow(
    "fulfilment",
    state=Fulfilment,
    identity="order",
    begins={Placed: placed},
    reacts={Reserved: reserved, Paid: paid, Rejected: refused},
    timeouts={"payment": unpaid},
)


class Shop:
    """The aggregates and the follower of a shop, on a store."""

    def __init__(self, store: Any, flow: Any = fulfilment, **options: Any) -> None:
        self.store, self.orders, self.stocks = store, orders.stored(store), stocks.stored(store)
        self.desk, self.flow = Bus([self.orders, self.stocks], name="desk"), flow
        self.desk_codec = Codec([*self.orders.types, *self.stocks.types])
        self.follower = Follower(store, [flow], commands=self.desk, **{"backoff": "none"} | options)

    async def send(self, *commands: Command[Any] | Envelope[Any]) -> None:
        """Dispatch commands to the aggregates, without a flow."""
        for each in commands:
            command = each.message if isinstance(each, Envelope) else each
            await (self.orders if type(command) in self.orders.types else self.stocks).dispatch(each)

    async def follow(self, *commands: Command[Any] | Envelope[Any]) -> None:
        """Dispatch commands, and have all done that follows from them."""
        await self.send(*commands)
        await self.follower.catch_up()

    async def seen(self, order: str) -> Sequence[str]:
        """Return the names of the events of an order."""
        seen: Sequence[str] = (await self.orders.get(order)).state.seen
        return seen

    async def pieces(self, sku: str = "tea") -> int:
        """Return the pieces of a product."""
        pieces: int = (await self.stocks.get(sku)).state.pieces
        return pieces


@async_block
async def running(follower: Follower) -> AsyncIterator[None]:
    """Run a follower beside the block."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.run)
            while not follower._loop.is_running:
                await anyio.lowlevel.checkpoint()
            yield
            follower.stop()
