"""Flows that cannot work are refused when they are made, with the name of the option."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import pytest

from modd import InvalidOption, Value
from modd.aggregate import Rejected
from modd.cqrs import Codec, Query
from modd.flow import Flow, Timeout, go
from tests.flow.orders import Fulfilment, OrderPlaced, Reserve, StockReserved, placed, refused, reserved, unpaid


class Needy(Value, frozen=True):
    """A state without a default."""

    amount: int


class Stream:
    """A type that is no data."""


class Changing(Value, frozen=True):
    """A state with a field that cannot be decoded."""

    content: Stream = Stream()


class Price(Query[int]):
    order: str


class HasOrder(Protocol):
    order: str


async def later(state: Fulfilment, event: OrderPlaced) -> None: ...


def yielding(state: Fulfilment, event: OrderPlaced) -> Any:
    yield go(state)


def takes_one(state: Fulfilment) -> None: ...


def of_another_state(state: Needy, event: OrderPlaced) -> None: ...


def of_the_event_first(event: OrderPlaced, state: Fulfilment) -> None: ...


def returns_a_state(state: Fulfilment, event: OrderPlaced) -> Fulfilment | list[Reserve] | None: ...


GOOD: dict[str, Any] = {
    "name": "fulfilment",
    "state": Fulfilment,
    "identity": "order",
    "begins": {OrderPlaced: placed},
    "reacts": {},
    "timeouts": {},
}


def flow_of(**options: Any) -> Flow[Any]:
    options = GOOD | options
    return Flow(options.pop("name"), **options)


@pytest.mark.parametrize(
    ("option", "value", "named", "text"),
    [
        ("name", "", "name", "letters, digits"),
        ("name", "a/b", "name", "letters, digits"),
        ("name", None, "name", "letters, digits"),
        ("state", Needy, "state", "whose fields have defaults"),
        ("state", {}, "state", "must not change in place"),
        ("state", None, "state", "give a class whose fields have defaults"),
        ("state", Changing, "state", "msgspec does not know Stream; use a type"),
        ("identity", "customer", "identity", "OrderPlaced has no such field"),
        ("identity", None, "identity", "give the name of a field, or a function of the event"),
        ("begins", {}, "begins", "at least one type"),
        ("begins", [placed], "begins", "give a function for each type of event"),
        ("begins", {"OrderPlaced": placed}, "begins", "give a function for each type of event"),
        ("begins", {Reserve: placed}, "begins", "a flow hears of events"),
        ("reacts", {Price: placed}, "reacts", "a flow hears of events"),
        ("begins", {Rejected: refused}, "begins", "put it into reacts"),
        ("reacts", {Timeout: unpaid}, "reacts", 'timeouts={"payment": unpaid}'),
        ("reacts", None, "reacts", "give a function for each type of event"),
        ("begins", {OrderPlaced: None}, "begins of OrderPlaced", "give a function"),
        ("begins", {OrderPlaced: later}, "begins of OrderPlaced", "neither async nor a generator"),
        ("begins", {OrderPlaced: yielding}, "begins of OrderPlaced", "neither async nor a generator"),
        ("begins", {OrderPlaced: takes_one}, "begins of OrderPlaced", "give a function .state, event. that returns"),
        (
            "begins",
            {OrderPlaced: of_another_state},
            "begins of OrderPlaced",
            "of_another_state is annotated with Needy",
        ),
        ("begins", {OrderPlaced: of_the_event_first}, "begins of OrderPlaced", "with OrderPlaced, and gets Fulfilment"),
        ("begins", {OrderPlaced: reserved}, "begins of OrderPlaced", "with StockReserved, and gets OrderPlaced"),
        ("reacts", {StockReserved: unpaid}, "reacts of StockReserved", "with Timeout, and gets StockReserved"),
        ("begins", {OrderPlaced: Fulfilment}, "begins of OrderPlaced", "give a function .state, event. that returns"),
        ("begins", {OrderPlaced: returns_a_state}, "begins of OrderPlaced", "annotated to return Fulfilment or list"),
        ("timeouts", [unpaid], "timeouts", "give a function for each name"),
        ("timeouts", {"": unpaid}, "timeouts", "not empty"),
        ("timeouts", {5: unpaid}, "timeouts", "as texts"),
        ("timeouts", {"payment": placed}, "timeouts of 'payment'", "with OrderPlaced, and gets Timeout"),
        ("timeouts", {"payment": takes_one}, "timeouts of 'payment'", "give a function .state, timeout. that returns"),
        ("since", "today", "since", "give 'start', 'now', or the position"),
        ("since", -1, "since", "give 'start', 'now', or the position"),
        ("since", True, "since", "give 'start', 'now', or the position"),
        ("since", None, "since", "give 'start', 'now', or the position"),
        ("codec", "json", "codec", "give a modd.cqrs.Codec"),
        ("codec", Codec([StockReserved]), "codec", "it has no OrderPlaced"),
    ],
)
def test_options_that_cannot_work_are_refused_by_their_name_when_the_flow_is_made(
    option: str, value: Any, named: str, text: str
) -> None:
    # WM-50
    with pytest.raises(InvalidOption, match=text) as caught:
        flow_of(**{option: value})
    assert caught.value.option == named


def of_more_events(state: Fulfilment | Needy, event: OrderPlaced | StockReserved) -> None: ...


def of_an_object(state: object, event: Any) -> None: ...


def of_a_protocol(state: HasOrder, event: HasOrder) -> None: ...


def of_a_name_that_is_not_there(state: Nowhere, event: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def without_annotations(state, event): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    "function",
    [
        of_more_events,
        of_an_object,
        of_a_protocol,
        of_a_name_that_is_not_there,
        without_annotations,
        partial(placed),
        max,
    ],
)
def test_annotations_that_are_wider_or_cannot_be_looked_up_are_taken(function: Any) -> None:
    # WM-50
    assert flow_of(begins={OrderPlaced: function}).begins == {OrderPlaced: function}


def test_a_state_may_be_a_number_and_its_functions_take_any_number() -> None:
    # WM-50
    def add(total: float, event: OrderPlaced) -> Any:
        return go(total + 1)

    assert flow_of(state=0, begins={OrderPlaced: add}).state == 0
