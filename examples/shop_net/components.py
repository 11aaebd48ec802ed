"""Orders and billing: messages and components. Nothing here knows a process, which store, HTTP or NATS."""

from __future__ import annotations

from typing import Any

from modd import Bus
from modd.cqrs import Ask, Codec, Command, CommandBus, Emit, Envelope, Event, EventBus, Query, QueryBus
from modd.middleware import Enqueue
from modd.ports import EventStore, Queue


class PlaceOrder(Command[None]):
    customer: str
    sku: str
    quantity: int


class OrderPlaced(Event):
    customer: str
    sku: str
    quantity: int


class GetOrders(Query[tuple[str, ...]]):
    customer: str


class Invoice(Command[int]):
    """Results in the number of the invoice."""

    customer: str
    cents: int


PRICES = {"yoyo": 1099, "rope": 1499}
codec = Codec([OrderPlaced])


class Orders:
    """The state of this context: what each customer has ordered, in the event store."""

    def __init__(self, events: EventStore) -> None:
        self._events = events

    async def of(self, customer: str) -> list[OrderPlaced]:
        return [codec.decode(each.body).message async for each in self._events.read(f"orders-{customer}")]

    async def add(self, placed: OrderPlaced) -> None:
        known = len(await self.of(placed.customer))
        await self._events.append(f"orders-{placed.customer}", [codec.encode(Envelope(placed))], known)


async def place_order(order: PlaceOrder, orders: Orders, emit: Emit) -> None:
    placed = OrderPlaced(order.customer, order.sku, order.quantity)
    await orders.add(placed)
    emit(placed)


async def get_orders(query: GetOrders, orders: Orders) -> tuple[str, ...]:
    return tuple(f"{each.quantity} x {each.sku}" for each in await orders.of(query.customer))


async def invoice_order(event: OrderPlaced, ask: Ask) -> None:
    await ask(Invoice(event.customer, PRICES[event.sku] * event.quantity))


def OrderBus(events: EventStore, commands: Queue, *others: Any) -> Bus:
    """Orders of one customer are placed one after another; `others` are the contexts around."""
    resources = {Orders: Orders(events)}
    placing = CommandBus(
        [place_order],
        middleware=[Enqueue(commands, key=lambda envelope: envelope.message.customer)],
        resources=resources,
    )
    parts: list[Any] = [placing, QueryBus([get_orders], resources=resources), EventBus([invoice_order]), *others]
    return Bus(parts, name="orders", inbound=[PlaceOrder, GetOrders, OrderPlaced])


def Billing() -> Bus:
    """Numbers invoices."""
    last = 0

    def invoice(command: Invoice) -> int:
        nonlocal last
        last += 1
        return last

    return Bus([CommandBus([invoice])], name="billing", inbound=[Invoice])
