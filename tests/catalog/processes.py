"""A flow and projections over the program of these tests, whose catalog they look at."""

from __future__ import annotations

from modd import Value
from modd.aggregate import Rejected
from modd.cqrs import Codec
from modd.flow import End, Flow, Go, Timeout, end, go, timeout
from modd.projection import Projection, Rows
from tests.catalog.messages import Cancelled, OrderPlaced, Shipped
from tests.catalog.store import Cancel, Ship, orders


class Fulfilment(Value, frozen=True):
    """An order on its way."""

    order: str = ""


def begun(flow: Fulfilment, event: OrderPlaced) -> Go[Fulfilment]:
    """Have it shipped within a week."""
    return go(Fulfilment(event.order), *shipment(event.order))


def shipment(order: str) -> tuple[Ship]:
    return (Ship(order),)


def shipped(flow: Fulfilment, event: Shipped) -> End:
    return end()


def refused(flow: Fulfilment, event: Rejected) -> End:
    """Cancel what cannot be shipped."""
    return end(Cancel(flow.order))


def lost(flow: Fulfilment, late: Timeout) -> Go[Fulfilment]:
    """Cancel it, and ship another one."""
    return go(flow, Cancel(flow.order), Ship(flow.order), timeout("lost", days=7))


codec = Codec([OrderPlaced, Shipped, Cancelled], upcasters={OrderPlaced: {}})
fulfilment = Flow(
    "fulfilment",
    state=Fulfilment,
    identity="order",
    begins={OrderPlaced: begun},
    reacts={Shipped: shipped, Rejected: refused},
    timeouts={"lost": lost},
    version=2,
    upcasters={},
    codec=codec,
)


def sold(event: OrderPlaced, rows: Rows) -> None:
    """Count the pieces."""


def counted(state: int, event: Cancelled) -> int:
    return state + 1


TABLES = {"sales": "sku TEXT PRIMARY KEY, pieces INTEGER"}
sales = Projection("sales", version=3, tables=TABLES, events={OrderPlaced: sold}, codec=codec)
cancellations = Projection("cancellations", state=0, key=lambda event: event.order, events={Cancelled: counted})
kept = orders.stored(orders.store, inline=[cancellations])
