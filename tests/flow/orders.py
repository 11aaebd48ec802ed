"""A flow that sees orders through: reserve, wait for the payment, and give back if it does not come."""

from __future__ import annotations

import msgspec

from modd import Value
from modd.aggregate import Rejected
from modd.cqrs import Command, Event
from modd.flow import End, Flow, Go, Timeout, cancel_timeout, end, go, timeout


class OrderPlaced(Event):
    order: str
    sku: str = "tea"


class StockReserved(Event):
    sku: str


class PaymentConfirmed(Event):
    order: str


class OrderChanged(Event):
    order: str
    sku: str


class Unheard(Event):
    order: str


class Reserve(Command[None]):
    sku: str


class Release(Command[None]):
    sku: str


class Ship(Command[None]):
    order: str


class Cancel(Command[None]):
    order: str
    reason: str


class Fulfilment(Value, frozen=True):
    """The state of an order on its way."""

    order: str = ""
    sku: str = ""
    reserved: bool = False


def placed(flow: Fulfilment, event: OrderPlaced) -> Go[Fulfilment]:
    return go(Fulfilment(event.order, event.sku), Reserve(event.sku), timeout("payment", minutes=30))


def reserved(flow: Fulfilment, event: StockReserved) -> Go[Fulfilment]:
    return go(msgspec.structs.replace(flow, reserved=True))


def changed(flow: Fulfilment, event: OrderChanged) -> Go[Fulfilment] | None:
    if event.sku == flow.sku:
        return None
    return go(Fulfilment(flow.order, event.sku), Release(flow.sku), Reserve(event.sku))


def refused(flow: Fulfilment, event: Rejected) -> End:
    return end(Cancel(flow.order, event.reason))


def paid(flow: Fulfilment, event: PaymentConfirmed) -> Go[Fulfilment] | End:
    return end(Ship(flow.order)) if flow.reserved else go(flow, cancel_timeout("payment"), timeout("stock", days=1))


def unpaid(flow: Fulfilment, late: Timeout) -> End:
    return end(Release(flow.sku), Cancel(flow.order, "not paid in time"))


def out_of_stock(flow: Fulfilment, late: Timeout) -> End:
    return end(Cancel(flow.order, "out of stock"))


fulfilment = Flow(
    "fulfilment",
    state=Fulfilment,
    identity="order",
    begins={OrderPlaced: placed},
    reacts={StockReserved: reserved, OrderChanged: changed, Rejected: refused, PaymentConfirmed: paid},
    timeouts={"payment": unpaid, "stock": out_of_stock},
)
