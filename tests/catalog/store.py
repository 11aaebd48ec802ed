"""A program with two contexts, whose catalog these tests look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from modd import Bus, Message, Sensitive, Value
from modd.aggregate import Aggregate, Instance, only
from modd.cqrs import Codec, Command, CommandBus, Emit, Event, EventBus, Query, QueryBus
from modd.middleware import Retryer
from modd.parts import Filter
from modd.ports import Tagged
from tests.catalog import messages
from tests.catalog.messages import Cancelled, OrderPlaced, Shipped


class Order(Value, frozen=True):
    """The state of an order.

    It has more to say.
    """

    sku: str = ""
    phase: Literal["open", "shipped"] = "open"
    iban: Annotated[str, Sensitive] = ""


class PlaceOrder(Command[int]):
    """Place an order."""

    order: str
    sku: str
    pieces: int = 1
    iban: Annotated[str, Sensitive] = "DE02-1203"


class Cancel(Command[None]):
    order: str
    note: str | None = msgspec.field(default=None)


def place(order: Instance[Order], command: PlaceOrder) -> OrderPlaced:
    """Place it, if there is enough."""
    return placed_event(command)


def placed_event(command: PlaceOrder) -> OrderPlaced:
    return OrderPlaced(command.order, command.sku)


def cancel(order: Instance[Order], command: Cancel) -> Event:
    """Cancel it."""
    return messages.Cancelled(command.order)


def placed(state: Order, event: OrderPlaced) -> Order:
    """Note the article."""
    return Order(event.sku)


def cancelled(state: Order, event: Cancelled) -> Order:
    return state


def upcast(old: dict[str, Any]) -> dict[str, Any]:
    return old


orders = Aggregate(
    "order",
    state=Order,
    identity="order",
    commands={
        PlaceOrder: [only.if_not_exists(), place],
        Cancel: [only.if_exists(), only.if_in_phase(["open"]), cancel],
    },
    events={OrderPlaced: placed, Cancelled: cancelled},
    codec=Codec([OrderPlaced, Cancelled], upcasters={OrderPlaced: {1: upcast}}),
    middleware=[Retryer()],
)


class Ship(Command[None]):
    order: str


class Track(Query[list[str]]):
    order: str


async def ship(command: Ship, emit: Emit) -> None:
    """Ship it."""
    emit(Shipped(command.order))


def track(query: Track) -> list[str]:
    return []


def on_placed(event: OrderPlaced) -> None:
    """Prepare a parcel."""


@dataclass
class Courier:
    name: str = "courier"

    def __call__(self, event: Shipped) -> None: ...


class Report(Message):
    lines: tuple[str, ...] = ()


def count(prefix: str, event: Shipped) -> Report:
    """Count parcels."""
    return Report((prefix,))


def everything(message: Message) -> None: ...


def store() -> Bus:
    """Return the outermost bus, with its own copies of the parts."""
    counting = partial(count, "parcel")
    ordering = Bus([orders.stored(orders.store)], name="ordering", outbound=[OrderPlaced])
    shipping = Bus(
        [CommandBus([ship]), QueryBus([track]), EventBus([on_placed]), Courier(), Filter(counting)],
        name="shipping",
        inbound=[OrderPlaced, Ship, Track],
    )
    return Bus([ordering, shipping, everything], name="shop")


seats = Aggregate(
    "seat",
    state=0,
    boundary=lambda command: Tagged("all"),
    tags=lambda event: ["all"],
    commands={Ship: lambda seat, command: None},
    events={Shipped: lambda state, event: state + 1},
)
keyed = Aggregate(
    "keyed",
    state=Order,
    identity=lambda command: command.order,
    commands={Cancel: cancel},
    events={Cancelled: cancelled},
)
