"""The function `identity` of a flow in a scenario: it is asked about each event, as a follower asks it."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

import pytest

from modd import InvalidOption
from modd.aggregate import Rejected
from modd.cqrs import Envelope, InFlow
from modd.flow import Flow, Timeout
from modd.service import ImpureCall
from modd.testing import given
from tests.flow.orders import (
    Cancel,
    Fulfilment,
    OrderChanged,
    OrderPlaced,
    PaymentConfirmed,
    Reserve,
    StockReserved,
    Unheard,
    fulfilment,
)

PLACED = OrderPlaced("7", "tea")


def flow_by(identity: Callable[[Any], object]) -> Flow[Fulfilment]:
    """Return the flow of orders with another function for the identity."""
    return Flow(
        "fulfilment",
        state=Fulfilment,
        identity=identity,
        begins=fulfilment.begins,
        reacts=fulfilment.reacts,
        timeouts=fulfilment.timeouts,
    )


def order_of(event: Any) -> str | None:
    return getattr(event, "order", None)


def order_in(event: Any) -> Any:
    return event.order


def at_once(event: Any) -> str:
    return str(time())


def order_number(event: Any) -> Any:
    return None if order_of(event) is None else int(event.order)


def passed_over(when: Any) -> str:
    """Return the reason for which an event was passed over."""
    when.then_nothing()
    with pytest.raises(AssertionError) as caught:
        when.then(Cancel("7", "told"))
    return str(caught.value).partition(" was passed over: ")[2]


def test_an_event_that_begins_an_instance_needs_an_identity() -> None:
    # WM-150
    given(flow_by(order_of)).when(PLACED).then(Reserve("tea"))
    assert passed_over(given(flow_by(lambda event: None)).when(PLACED)) == "its identity is None"
    assert passed_over(given(flow_by(lambda event: None)).when(Envelope(PLACED))) == "its identity is None"
    with pytest.raises(InvalidOption, match="identity"):
        given(flow_by(lambda event: "")).when(PLACED)


@pytest.mark.parametrize("identity", [order_of, order_number])
def test_an_event_of_another_instance_is_passed_over(identity: Any) -> None:
    # WM-150
    when = given(flow_by(identity), PLACED).when(PaymentConfirmed("8"))
    assert passed_over(when) == "its identity is '8', and that of the instance '7'"
    past = PLACED, StockReserved("tea"), OrderChanged("8", "cup"), PLACED
    when = given(flow_by(identity), *past).when(PaymentConfirmed("8"))
    assert passed_over(when) == "its identity is '8', and that of the instance '7'"
    given(flow_by(identity), *past).when(PaymentConfirmed("7")).then_ended()


def test_an_error_of_the_function_has_a_note_that_names_it() -> None:
    # WM-150
    with pytest.raises(AttributeError) as caught:
        given(flow_by(order_in), PLACED).when(StockReserved("tea"))
    assert caught.value.__notes__ == ["raised by order_in of the flow fulfilment when given StockReserved"]
    with pytest.raises(AttributeError):
        given(flow_by(order_in), PLACED, StockReserved("tea"))
    given(flow_by(order_in), PLACED).when(Rejected("sold out")).then_ended()
    given(flow_by(order_in), PLACED).when(Timeout("payment")).then_ended()
    given(flow_by(order_in), PLACED).when(Unheard("8")).then_nothing()


def test_the_function_is_guarded_as_the_others_are() -> None:
    # WM-150
    with pytest.raises(ImpureCall, match=r"the identity of fulfilment.*time.time"):
        given(flow_by(at_once)).when(PLACED)


def test_an_event_that_no_command_of_the_instance_has_caused_needs_the_identity_of_the_instance() -> None:
    # WM-150
    forgets = flow_by(lambda event: None if isinstance(event, PaymentConfirmed) else order_of(event))
    given(forgets, PLACED, StockReserved("tea")).when(PaymentConfirmed("7")).then_ended()
    when = given(forgets, PLACED, StockReserved("tea")).when(Envelope(PaymentConfirmed("7")))
    assert passed_over(when) == "its identity is None, and no command of the instance has caused it"
    when = given(fulfilment, PLACED).when(Envelope(Rejected("no"), InFlow("billing", "7")))
    assert passed_over(when) == "its identity is None, and no command of the instance has caused it"


def test_an_event_with_the_stamp_of_an_instance_is_for_that_one_as_in_the_log() -> None:
    # WM-150
    mine, other = InFlow("fulfilment", "7"), InFlow("fulfilment", "8")
    given(flow_by(order_in), PLACED).when(Envelope(StockReserved("tea"), mine)).then_state(
        Fulfilment("7", "tea", reserved=True)
    )
    given(fulfilment, PLACED, Envelope(PaymentConfirmed("9"), mine)).when(Timeout("payment")).then_nothing()
    when = given(fulfilment, PLACED).when(Envelope(PaymentConfirmed("7"), other))
    assert passed_over(when) == "its identity is '8', and that of the instance '7'"
