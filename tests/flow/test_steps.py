"""A flow decides by pure functions; a value that is no step is an error that names function and flow."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption, ModdError
from modd.aggregate import Rejected
from modd.flow import Flow, Timeout, UnknownTimeout, WrongStep, cancel_timeout, end, go, timeout
from modd.flow.effects import Effect
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

TEA = Fulfilment("7", "tea")


def step_of(returned: Any) -> Any:
    """Return the step of a flow whose function returns a value."""

    def answer(state: Fulfilment, event: OrderPlaced) -> Any:
        return returned

    flow = Flow(
        "answering",
        state=Fulfilment(),
        identity="order",
        begins={OrderPlaced: answer},
        timeouts={"payment": lambda state, late: None},
    )
    return flow.decide(None, OrderPlaced("7"))


def test_an_event_that_begins_an_instance_leads_to_a_state_commands_and_timeouts() -> None:
    # WM-50
    step = fulfilment.decide(None, OrderPlaced("7", "tea"))
    assert step is not None
    assert (step.state, step.commands, step.timeouts) == (TEA, (Reserve("tea"),), {"payment": 1800})


def test_a_function_may_go_on_end_or_do_nothing() -> None:
    # WM-50
    gone, ended = fulfilment.decide(TEA, StockReserved("tea")), fulfilment.decide(TEA, Timeout("payment"))
    assert gone is not None and gone.state == Fulfilment("7", "tea", reserved=True) and not gone.commands
    assert ended is not None and ended.state is None
    assert ended.commands == (Release("tea"), Cancel("7", "not paid in time"))
    assert fulfilment.decide(TEA, OrderChanged("7", "tea")) is None


def test_a_flow_hears_of_a_rejection() -> None:
    # WM-50
    step = fulfilment.decide(TEA, Rejected("sold out"))
    assert step is not None and step.commands == (Cancel("7", "sold out"),)


@pytest.mark.parametrize("event", [PaymentConfirmed("7"), StockReserved("tea"), Rejected("no"), Timeout("payment")])
def test_an_event_for_an_instance_that_has_not_begun_is_passed_over(event: Any) -> None:
    # WM-56
    assert fulfilment.decide(None, event) is None


@pytest.mark.parametrize("event", [OrderPlaced("7"), Unheard("7")])
def test_an_event_without_a_function_is_passed_over_also_one_that_begins_instances(event: Any) -> None:
    # WM-56
    assert fulfilment.decide(TEA, event) is None


def test_an_event_may_begin_an_instance_and_be_heard_by_it() -> None:
    # WM-56
    flow = Flow(
        "counting",
        state=0,
        identity="order",
        begins={OrderPlaced: lambda count, event: go(count + 1)},
        reacts={OrderPlaced: lambda count, event: go(count + 10)},
    )
    first, second = flow.decide(None, OrderPlaced("7")), flow.decide(1, OrderPlaced("7"))
    assert first is not None and first.state == 1
    assert second is not None and second.state == 11


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (TEA, r"returned .*Fulfilment\); return go\(state, \*effects\), end\(\*effects\) or None"),
        ([Ship("7")], r"returned \[Ship.*; return go"),
        (Ship("7"), r"returned Ship.*; return go"),
        (go(Ship("7")), r"returned go\(\) with Ship.* and its state is Fulfilment; give the new state first"),
        (go(Fulfilment), r"returned go\(\) with the class Fulfilment as the state"),
        (go(None), r"returned go\(\) with None"),
        (go(TEA, "ship"), r"returned 'ship' \(str\) as an effect; effects are commands"),  # type: ignore[arg-type]
        (go(TEA, Ship), r"returned the class Ship as an effect"),  # type: ignore[arg-type]
        (end(OrderPlaced("7")), r"returned OrderPlaced.* as an effect"),  # type: ignore[arg-type]
        (end(None), r"returned None \(NoneType\) as an effect"),  # type: ignore[arg-type]
        (end([Ship("7")]), r"returned \[Ship.*\] \(list\) as an effect"),  # type: ignore[arg-type]
        (end(timeout("payment", days=1)), r"returned end\(\) with the timeout 'payment', which cannot come any more"),
    ],
)
def test_a_value_that_is_no_step_is_an_error_that_names_function_and_flow(returned: Any, text: str) -> None:
    # WM-50
    with pytest.raises(WrongStep, match=rf"(?s)answer of the flow answering {text}") as caught:
        step_of(returned)
    assert (caught.value.function, caught.value.flow) == (
        "test_steps.step_of.answer".rpartition(".")[2],
        "answering",
    ) or (caught.value.function.endswith("answer"))


@pytest.mark.parametrize("effect", [timeout("paiment", seconds=1), cancel_timeout("paiment")])
@pytest.mark.parametrize("make", [lambda effect: go(TEA, effect), end])
def test_a_timeout_without_a_function_is_an_error_that_names_function_and_flow(make: Any, effect: Effect) -> None:
    # WM-50
    with pytest.raises(UnknownTimeout, match=r"answer of the flow answering names the timeout 'paiment'.*'payment'"):
        step_of(make(effect))


def test_a_timeout_that_is_due_and_has_no_function_any_more_is_an_error_that_names_the_flow() -> None:
    # WM-50
    with pytest.raises(UnknownTimeout, match=r"flow fulfilment has a timeout 'gone', .*: 'payment', 'stock'"):
        fulfilment.decide(TEA, Timeout("gone"))


def test_a_flow_without_timeouts_says_so() -> None:
    # WM-50
    flow = Flow("plain", state=0, identity="order", begins={OrderPlaced: lambda n, event: go(n, timeout("x", days=1))})
    with pytest.raises(UnknownTimeout, match="those that have one: none"):
        flow.decide(None, OrderPlaced("7"))


def test_an_error_of_a_function_has_a_note_with_function_flow_and_event() -> None:
    # WM-50
    error = ValueError("broken")

    def fail(state: int, event: object) -> Any:
        raise error

    flow = Flow("broken", state=0, identity="order", begins={OrderPlaced: fail}, timeouts={"payment": fail})
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            flow.decide(None, OrderPlaced("7"))
    with pytest.raises(ValueError, match="broken"):
        flow.decide(1, Timeout("payment"))
    first, second = error.__notes__
    assert first.endswith("fail of the flow broken when given OrderPlaced")
    assert second.endswith("fail of the flow broken when given the timeout 'payment'")


def test_the_last_change_of_a_timeout_in_a_step_counts() -> None:
    # WM-50
    assert step_of(go(TEA, cancel_timeout("payment"), timeout("payment", hours=1))).timeouts == {"payment": 3600}
    assert step_of(go(TEA, timeout("payment", hours=1), cancel_timeout("payment"))).timeouts == {"payment": None}


def test_the_parts_of_a_time_add_up() -> None:
    # WM-50
    assert timeout("payment", seconds=1, minutes=2, hours=3, days=4).seconds == 1 + 120 + 10_800 + 345_600
    assert timeout("payment", seconds=0).seconds == 0


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: timeout("payment"), "timeout"),
        (lambda: timeout("payment", minutes=-1), "minutes"),
        (lambda: timeout("payment", days="1"), "days"),  # type: ignore[arg-type]
        (lambda: timeout("payment", 20), "timeout"),  # type: ignore[arg-type]
        (lambda: timeout("payment", 20, days=1), "timeout"),  # type: ignore[arg-type]
        (lambda: timeout("payment", weeks=2), "timeout"),  # type: ignore[arg-type]
        (lambda: timeout(5, 20), "name"),  # type: ignore[arg-type]
        (lambda: timeout(5, days=1), "name"),  # type: ignore[arg-type]
        (lambda: cancel_timeout(None), "name"),  # type: ignore[arg-type]
    ],
)
def test_a_timeout_that_cannot_be_set_is_refused_where_it_is_made(make: Any, option: str) -> None:
    # WM-50
    with pytest.raises(InvalidOption) as caught:
        make()
    assert caught.value.option == option


@pytest.mark.parametrize(("times", "others"), [((20,), {}), ((), {"weeks": 20})])
def test_a_time_without_a_known_unit_is_refused_with_a_call_that_names_one(times: Any, others: Any) -> None:
    # WM-152
    wrong: Any = timeout
    with pytest.raises(ModdError, match=r"20: name a unit \(seconds, minutes, .*timeout\('sky', minutes=30\)"):
        wrong("sky", *times, **others)


def test_a_step_changes_the_times_at_which_timeouts_are_due() -> None:
    # WM-50
    step = step_of(go(TEA, timeout("payment", seconds=5)))
    assert step.due_times({"payment": 20, "stock": 30}, 100) == {"payment": 105, "stock": 30}
    assert step_of(go(TEA, cancel_timeout("payment"))).due_times({"payment": 20, "stock": 30}, 100) == {"stock": 30}
    assert step_of(end(cancel_timeout("payment"))).due_times({"payment": 20, "stock": 30}, 100) == {}
