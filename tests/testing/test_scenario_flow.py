"""Given, when, then for a flow, without a store, a file and a loop."""

from __future__ import annotations

from time import time
from typing import Annotated, Any

import msgspec
import pytest

from modd import InvalidOption, Sensitive, Value
from modd.aggregate import Rejected
from modd.cqrs import Actor, Command, Event, Unencodable
from modd.flow import Flow, Timeout, UnknownTimeout, WrongStep, go, timeout
from modd.service import ImpureCall
from modd.testing import given
from tests.flow.orders import (
    Cancel,
    Fulfilment,
    OrderChanged,
    OrderPlaced,
    PaymentConfirmed,
    Release,
    Reserve,
    Ship,
    StockReserved,
    Unheard,
    fulfilment,
)

PLACED = OrderPlaced("7", "tea")


def failure_of(expect: Any, *values: Any) -> str:
    """Return the text of the error of an expectation that is not met."""
    with pytest.raises(AssertionError) as caught:
        expect(*values)
    return str(caught.value)


def test_the_commands_the_state_and_the_timeouts_that_follow_from_an_event_are_compared() -> None:
    # WM-70
    when = given(fulfilment).when(PLACED)
    when.then(Reserve("tea"))
    when.then_state(Fulfilment("7", "tea"))
    when.then_timeouts({"payment": 1800})


def test_a_timeout_comes_to_an_instance_with_a_past() -> None:
    # WM-70
    when = given(fulfilment, PLACED, StockReserved("tea")).when(Timeout("payment"))
    when.then(Release("tea"), Cancel("7", "not paid in time"))
    when.then_ended()
    when.then_timeouts({})


def test_timeouts_stay_until_they_are_cancelled_or_come() -> None:
    # WM-70
    given(fulfilment, PLACED).when(StockReserved("tea")).then_timeouts({"payment": 1800})
    given(fulfilment, PLACED).when(PaymentConfirmed("7")).then_timeouts({"stock": 86_400})
    given(fulfilment, PLACED, PaymentConfirmed("7")).when(Timeout("payment")).then_nothing()
    given(fulfilment, PLACED, PaymentConfirmed("7")).when(Timeout("stock")).then(Cancel("7", "out of stock"))


def test_a_timeout_comes_once() -> None:
    # WM-70
    flow = Flow(
        "reminding",
        state=0,
        identity="order",
        begins={OrderPlaced: lambda count, event: go(count, timeout("again", days=1))},
        timeouts={"again": lambda count, late: None if count else go(count + 1, timeout("again", days=2))},
    )
    given(flow, PLACED).when(Timeout("again")).then_timeouts({"again": 172_800})
    given(flow, PLACED, Timeout("again")).when(Timeout("again")).then_timeouts({})
    given(flow, PLACED, Timeout("again"), Timeout("again")).when(Timeout("again")).then_nothing()


@pytest.mark.parametrize(
    ("past", "event", "reason"),
    [
        ((), StockReserved("tea"), "the instance has not begun, which it does with OrderPlaced"),
        ((), Timeout("payment"), "the instance has not begun, which it does with OrderPlaced"),
        ((PLACED,), PLACED, "the instance has begun already"),
        ((PLACED,), Unheard("7"), "the flow has no function for it"),
        ((PLACED,), Timeout("stock"), "it is not set"),
        ((PLACED, Rejected("sold out")), StockReserved("tea"), "the instance has ended"),
        ((PLACED, Timeout("payment")), Timeout("payment"), "the instance has ended"),
        ((PLACED, Timeout("payment")), PLACED, "the instance has ended"),
    ],
)
def test_an_event_for_an_instance_that_has_not_begun_or_has_ended_is_passed_over_and_the_reason_is_told(
    past: Any, event: Any, reason: str
) -> None:
    # WM-56, WM-70
    when = given(fulfilment, *past).when(event)
    when.then_nothing()
    when.then()
    assert failure_of(when.then, Ship("7")).endswith(f"was passed over: {reason}")


def test_an_event_for_which_a_function_returns_none_leads_to_nothing() -> None:
    # WM-70
    when = given(fulfilment, PLACED).when(OrderChanged("7", "tea"))
    when.then_nothing()
    when.then_state(Fulfilment("7", "tea"))
    when.then_timeouts({"payment": 1800})


def test_differing_commands_are_shown() -> None:
    # WM-70
    when = given(fulfilment, PLACED).when(OrderChanged("7", "cup"))
    head, *lines = failure_of(when.then, Reserve("cup"), Release("tea")).splitlines()
    assert head == "the commands differ (- expected, + sent):"
    assert sorted(lines) == ["  Reserve(sku='cup')", "+ Release(sku='tea')", "- Release(sku='tea')"]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (StockReserved("tea"), "its state became Fulfilment(order='7', sku='tea', reserved=True)"),
        (PaymentConfirmed("7"), "its timeouts became {'stock': 86400.0}"),
        (Rejected("no"), "Cancel(order='7', reason='no') was sent\nthe instance ended"),
        (
            OrderChanged("7", "cup"),
            "Release(sku='tea'), Reserve(sku='cup') were sent\n"
            "its state became Fulfilment(order='7', sku='cup', reserved=False)",
        ),
    ],
)
def test_all_that_follows_is_told_where_nothing_was_expected(event: Any, text: str) -> None:
    # WM-70
    when = given(fulfilment, PLACED).when(event)
    assert failure_of(when.then_nothing) == f"nothing was expected to follow, but:\n{text}"


def test_a_differing_state_differing_timeouts_and_a_missing_end_are_told() -> None:
    # WM-70
    when = given(fulfilment, PLACED).when(StockReserved("tea"))
    assert failure_of(when.then_state, Fulfilment("7", "tea")) == (
        "the state differs (- expected, + actual):\n"
        "- Fulfilment(order='7', sku='tea', reserved=False)\n+ Fulfilment(order='7', sku='tea', reserved=True)"
    )
    assert failure_of(when.then_timeouts, {"payment": 60}) == (
        "the timeouts differ (- expected, + actual):\n- {'payment': 60}\n+ {'payment': 1800.0}"
    )
    assert "the end of the instance was expected, but its state is Fulfilment(" in failure_of(when.then_ended)


def test_a_state_that_is_not_there_is_told() -> None:
    # WM-70
    state = Fulfilment("7", "tea")
    ended = given(fulfilment, PLACED).when(Rejected("no"))
    assert failure_of(ended.then_state, state) == "a state was expected, but the instance has ended"
    early = given(fulfilment).when(StockReserved("tea"))
    assert failure_of(early.then_state, state).startswith("a state was expected, but the instance has not begun\n")
    assert failure_of(early.then_ended).startswith("the end of the instance was expected, but it has not begun\n")


class Secret(Value, frozen=True):
    """A state with a field that is not shown."""

    code: Annotated[str, Sensitive] = ""


class Loose(Value, frozen=True):
    """A state with a field of any type."""

    content: Any = None


class Listed(Value, frozen=True):
    """A state with a field that can be changed in place."""

    orders: list[str] = msgspec.field(default_factory=list)


class Opened(Event):
    order: str


class Open(Command[None]):
    order: str


def flow_of(answer: Any, state: Any = Secret) -> Flow[Any]:
    return Flow("secret", state=state, identity="order", begins={Opened: lambda state, event: answer})


def test_states_that_look_alike_and_differ_are_told() -> None:
    # WM-70
    when = given(flow_of(go(Secret("1")))).when(Opened("7"))
    assert "They look alike" in failure_of(when.then_state, Secret("2"))


def test_a_state_that_would_not_come_back_is_found_in_the_test() -> None:
    # WM-70
    with pytest.raises(Unencodable, match="content"):
        given(flow_of(go(Loose((1,))), Loose)).when(Opened("7"))


def test_a_state_that_is_changed_in_place_is_found_in_the_test() -> None:
    # WM-70
    def open_here(state: Listed, event: Opened) -> Any:
        state.orders.append(event.order)
        return go(state)

    functions = {Opened: open_here}
    flow = Flow("listed", state=Listed, identity="order", begins=functions)
    with pytest.raises(AssertionError, match=r"changed in place by the function for Opened\(order='7'\); return a new"):
        given(flow).when(Opened("7"))
    later = Flow("later", state=Listed, identity="order", begins={OrderPlaced: keep}, reacts=functions)
    with pytest.raises(AssertionError, match="changed in place"):
        given(later, PLACED).when(Opened("7"))


def keep(state: Listed, event: OrderPlaced) -> Any:
    return go(Listed([event.order]))


def test_errors_of_the_flow_are_raised_in_the_test() -> None:
    # WM-70
    with pytest.raises(WrongStep):
        given(flow_of(Open("7"))).when(Opened("7"))
    with pytest.raises(WrongStep):
        given(flow_of(Open("7")), Opened("7"))
    with pytest.raises(UnknownTimeout):
        given(fulfilment, PLACED).when(Timeout("paiment"))


def test_a_function_that_is_not_pure_is_found_in_the_test() -> None:
    # WM-50
    def placed_now(state: int, event: Opened) -> Any:
        return go(int(time()))

    flow = Flow("impure", state=0, identity="order", begins={Opened: placed_now})
    with pytest.raises(ImpureCall, match=r"placed_now is to be pure, and calls time\.time"):
        given(flow).when(Opened("7"))


@pytest.mark.parametrize("event", [OrderPlaced, "payment", None])
def test_anything_but_events_and_timeouts_is_refused(event: Any) -> None:
    # WM-70
    with pytest.raises(InvalidOption, match="give an event, or a timeout"):
        given(fulfilment, event)
    with pytest.raises(InvalidOption, match="give an event, or a timeout"):
        given(fulfilment).when(event)


def test_stamps_are_refused_because_a_flow_does_not_see_them() -> None:
    # WM-70
    for options in ({"by": Actor("ada")}, {"stamps": [Actor("ada")]}):
        with pytest.raises(InvalidOption, match="the functions of a flow see no stamps"):
            given(fulfilment, **options)
