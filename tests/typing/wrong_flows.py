# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers must refuse of flows; it does not run (see wrong.py).

A function of another event is not among them, because a mapping does not tie its values to its keys: it is refused when
the flow is made, by its annotation.
"""

from __future__ import annotations

from typing import assert_type

from modd.flow import Flow, Go, Timeout, cancel_timeout, end, go, timeout
from modd.testing import given
from tests.typing.flows import (
    Fulfilment,
    OrderPlaced,
    PaymentConfirmed,
    StockReserved,
    Visit,
    fulfilment,
    paid,
    placed,
    unpaid,
    visited,
    visits,
)


def returns_a_state(flow: Fulfilment, event: OrderPlaced) -> Fulfilment:
    return flow


def takes_no_event(flow: Fulfilment) -> None: ...


async def later(flow: Fulfilment, event: OrderPlaced) -> None: ...


# A function of another state.
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: visited})  # type: ignore[dict-item]
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: placed}, reacts={OrderPlaced: visited})  # type: ignore[dict-item]
Flow("a", state=Visit(), identity="order", begins={OrderPlaced: visited}, timeouts={"payment": unpaid})  # type: ignore[dict-item]

# A function that returns no step, and one that cannot be called with a state and an event.
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: returns_a_state})  # type: ignore[dict-item]
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: takes_no_event})  # type: ignore[dict-item]
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: later})  # type: ignore[dict-item]
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: 5})  # type: ignore[dict-item]

# A function of an event as the function of a timeout, and further wrong options.
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: placed}, timeouts={"payment": paid})  # type: ignore[dict-item]
Flow("a", state=Fulfilment, identity="order", begins={OrderPlaced: placed}, timeouts={5: unpaid})  # type: ignore[dict-item]
Flow("a", state=Fulfilment, identity=5, begins={OrderPlaced: placed})  # type: ignore[call-overload]
Flow("a", state=Fulfilment, begins={OrderPlaced: placed})  # type: ignore[call-overload]
Flow("a", state=Fulfilment, identity="order", begin={OrderPlaced: placed})  # type: ignore[call-overload]

# Steps.
go()  # type: ignore[call-arg]
go(Fulfilment(), "ship")  # type: ignore[arg-type]
go(Fulfilment(), OrderPlaced("7", "tea"))  # type: ignore[arg-type]
end(PaymentConfirmed("7"))  # type: ignore[arg-type]
assert_type(go(Fulfilment()), Go[Visit])  # type: ignore[assert-type]
timeout("payment", 30)  # type: ignore[arg-type]
timeout("payment", weeks=2)  # type: ignore[arg-type]
timeout("payment", minutes="30")  # type: ignore[arg-type]
cancel_timeout(Timeout("payment"))  # type: ignore[arg-type]

# Scenarios.
given(fulfilment, "placed")  # type: ignore[call-overload]
given(fulfilment).when("payment")  # type: ignore[arg-type]
given(fulfilment).when(StockReserved("tea")).then(StockReserved("tea"))  # type: ignore[arg-type]
given(visits).when(OrderPlaced("7", "tea")).then_state(Fulfilment())  # type: ignore[arg-type]
