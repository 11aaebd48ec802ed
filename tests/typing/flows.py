"""What users write of flows, and the types it has: both checkers must accept it, and it runs (test_typing.py)."""

from __future__ import annotations

from typing import Any, assert_type

from modd import Value
from modd.aggregate import Rejected
from modd.cqrs import Codec, Command, Event
from modd.flow import End, Flow, Go, Timeout, cancel_timeout, end, go, timeout
from modd.testing import given


class Fulfilment(Value, frozen=True):
    order: str = ""
    sku: str = ""


class Visit(Value, frozen=True):
    count: int = 0


class OrderPlaced(Event):
    order: str
    sku: str


class StockReserved(Event):
    sku: str


class PaymentConfirmed(Event):
    order: str


class Reserve(Command[int]):
    sku: str


class Cancel(Command[None]):
    order: str
    reason: str


def placed(flow: Fulfilment, event: OrderPlaced) -> Go[Fulfilment]:
    return go(Fulfilment(event.order, event.sku), Reserve(event.sku), timeout("payment", minutes=30))


def reserved(flow: Fulfilment, event: StockReserved) -> None:
    assert_type(flow.sku, str)


def paid(flow: Fulfilment, event: PaymentConfirmed) -> Go[Fulfilment] | End | None:
    if event.order != flow.order:
        return None
    return end() if flow.sku else go(flow, cancel_timeout("payment"))


def refused(flow: Fulfilment, event: Rejected) -> End:
    return end(Cancel(flow.order, event.reason))


def unpaid(flow: Fulfilment, late: Timeout) -> End:
    assert_type(late.name, str)
    return end(Cancel(flow.order, "not paid in time"))


def logged(flow: object, event: Any) -> None: ...


def visited(state: Visit, event: OrderPlaced) -> Go[Visit]:
    return go(Visit(state.count + 1))


fulfilment = Flow(
    "fulfilment",
    state=Fulfilment,
    identity="order",
    begins={OrderPlaced: placed},
    reacts={StockReserved: reserved, PaymentConfirmed: paid, Rejected: refused, OrderPlaced: logged},
    timeouts={"payment": unpaid},
)
assert_type(fulfilment, Flow[Fulfilment])

visits = Flow(
    "visits",
    state=Visit(),
    identity=lambda event: event.order,
    begins={OrderPlaced: visited},
    version=2,
    upcasters={1: lambda old: old | {"count": 1}},
    codec=Codec([OrderPlaced]),
)
assert_type(visits, Flow[Visit])

counts = Flow("counts", state=0, identity="order", begins={OrderPlaced: lambda count, event: go(count + 1)})
assert_type(counts, Flow[int])


def use_flows() -> None:
    step = fulfilment.decide(None, OrderPlaced("7", "tea"))
    assert step is not None
    assert_type(step.state, Fulfilment | None)
    assert_type(step.commands, tuple[Command[Any], ...])
    assert_type(fulfilment.state, Fulfilment)
    when = given(fulfilment, OrderPlaced("7", "tea"), StockReserved("tea")).when(Timeout("payment"))
    when.then(Cancel("7", "not paid in time"))
    when.then_ended()
    when.then_timeouts({})
    given(visits).when(OrderPlaced("7", "tea")).then_state(Visit(1))
    given(counts, OrderPlaced("7", "tea")).when(OrderPlaced("7", "tea")).then_nothing()
