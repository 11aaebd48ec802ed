"""States of a flow are stored with their version; older ones are brought up, unreadable ones are an error."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from modd import InvalidOption, ModdError, Sensitive, Value
from modd.cqrs import InvalidUpcasters, Unencodable
from modd.flow import Flow, UnreadableState
from tests.flow.orders import Fulfilment, OrderPlaced, fulfilment


class Price(Value, frozen=True):
    """A state with a field that the first version did not have."""

    amount: int = 0
    currency: str = "EUR"
    secret: Annotated[str, Sensitive] = ""


class Loose(Value, frozen=True):
    """A state with a field of any type."""

    content: Any = None


def flow_of(state: Any = Price, **options: Any) -> Flow[Any]:
    return Flow("pricing", state=state, identity="order", begins={OrderPlaced: lambda state, event: None}, **options)


def add_currency(old: dict[str, Any]) -> dict[str, Any]:
    return old | {"currency": "USD"}


def rename(old: dict[str, Any]) -> dict[str, Any]:
    return {"amount": old["price"]}


def test_a_state_comes_back_equal() -> None:
    # WM-58
    state = Fulfilment("7", "tea", reserved=True)
    assert fulfilment.states.decode(fulfilment.states.encode(state), 1) == state


def test_an_older_state_is_brought_up_by_the_upcasters() -> None:
    # WM-58
    states = flow_of(version=3, upcasters={1: rename, 2: add_currency}).states
    assert states.decode(b'{"price": 5}', 1) == Price(5, "USD")
    assert states.decode(b'{"amount": 5}', 2) == Price(5, "USD")
    assert states.decode(b'{"amount": 5}', 3) == Price(5, "EUR")


@pytest.mark.parametrize(
    ("data", "version", "text"),
    [
        (b'{"amount": 5}', 1, "is older than 2, the oldest that can be read here; give the upcasters from version 1"),
        (b'{"amount": 5}', 4, "newest version that is known here is 3; deploy this version everywhere"),
        (b'{"amount": "five"}', 3, r"Expected `int`, got `str` - at `\$.amount`"),
        (b'{"amount": "five"}', 2, r"Expected `int`, got `str` - at `\$.amount`"),
        (b"damaged", 3, "JSON is malformed"),
        (b"[]", 2, "Expected `object`, got `array`"),
    ],
)
def test_a_state_that_cannot_be_read_is_an_error_that_says_why(data: bytes, version: int, text: str) -> None:
    # WM-58
    states = flow_of(version=3, upcasters={2: add_currency}).states
    with pytest.raises(UnreadableState, match=f"state of the flow pricing, stored with version {version}, .*{text}"):
        states.decode(data, version)


def test_the_error_of_an_upcaster_is_told_without_the_values_of_the_state() -> None:
    # WM-58
    def fail(old: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(f"no price in {old['secret']}")

    states = flow_of(version=2, upcasters={1: fail}).states
    with pytest.raises(UnreadableState) as caught:
        states.decode(b'{"secret": "4711-0815"}', 1)
    assert "the upcaster of the state of pricing from version 1 raised ValueError: no price in" in str(caught.value)
    assert "4711" not in str(caught.value) and caught.value.__context__ is None


def test_a_state_that_would_not_come_back_equal_is_refused_when_it_is_encoded() -> None:
    # WM-58
    with pytest.raises(Unencodable, match=r"Loose.content cannot be encoded"):
        flow_of(Loose).states.encode(Loose((1, 2)))


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"version": 2}, InvalidUpcasters, r"version is 2, and there are none; give upcasters=\{1: function\}"),
        ({"version": 3, "upcasters": {1: rename}}, InvalidUpcasters, "no upcaster from version 2 to 3"),
        ({"version": 1, "upcasters": {1: rename}}, InvalidUpcasters, "version is 1; set it to 2"),
        ({"version": 2, "upcasters": {1: "rename"}}, InvalidOption, "give functions that take and return a dict"),
        ({"version": 2, "upcasters": {"1": rename}}, InvalidOption, "whole number"),
        ({"version": 2, "upcasters": [rename]}, InvalidOption, "give functions by version"),
        ({"version": 0}, InvalidOption, "version=0"),
    ],
)
def test_upcasters_that_do_not_lead_to_the_version_are_refused_when_the_flow_is_made(
    options: Any, kind: type[ModdError], text: str
) -> None:
    # WM-58
    with pytest.raises(kind, match=text):
        flow_of(**options)


def test_without_older_states_there_are_no_upcasters() -> None:
    # WM-58
    assert flow_of(version=2, upcasters={}).version == 2
