"""Sensitive content of a message is masked in texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest

from modd import Message, Sensitive
from modd.core.masking import mask_secrets, mask_values, show_safely
from tests.steps import calls_of


@dataclass
class Card:
    number: Annotated[str, Sensitive]
    kind: str = "credit"


class Address(msgspec.Struct):
    street: Annotated[str, Sensitive]
    city: str


class Order(Message):
    secret: Annotated[Any, Sensitive] = None
    plain: Any = None


@pytest.mark.parametrize(
    ("message", "text", "shown"),
    [
        (Order("hunter22"), "no user hunter22", "no user ***"),
        (Order(" hunter22\n"), "no user hunter22, nor ' hunter22\\n'", "no user ***, nor '***'"),
        (Order(b"hunter22"), "hunter22 b'hunter22'", "*** b'***'"),
        (Order(b"\xff234567"), "b'\\xff234567'", "b'***'"),
        (Order(123456), "123456 is too much", "*** is too much"),
        (Order({"pins": ["pin-1", ("pin-22",)]}), "pins, pin-1, pin-22", "***, ***, ***"),
        (Order({"longer", "longer-one"}), "longer-one, longer", "***, ***"),
        (Order(Address("Elm Street", "York")), "Elm Street in York", "*** in ***"),
        (Order(plain=[Address("Elm Street", "York")]), "Elm Street in York", "*** in York"),
        (Order(plain={"card": Card("4111x")}), "4111x is no credit card", "*** is no credit card"),
        (Order("abc", "hunter22"), "abc hunter22", "*** hunter22"),
        (Order(7), "the pin 7, 17, 7a, (7): 7", "the pin ***, 17, 7a, (***): ***"),
        (Order(["é", "-1", " "]), "é, été, -1, x-1 -10", "***, été, ***, x-1 -10"),
        (Order(["overlap", "lapping"]), "overlapping, overlap, lap", "***, ***, lap"),
        (Order(["next", "door"]), "nextdoor", "******"),
        (Order(""), "nothing", "nothing"),
        (Order([True, None]), "True or None", "True or None"),
    ],
)
def test_what_is_hidden_is_not_in_the_text(message: Order, text: str, shown: str) -> None:
    # MI-47
    assert mask_secrets(text, message) == shown


def test_of_content_that_cannot_be_looked_into_nothing_is_shown() -> None:
    # MI-47
    endless: list[Any] = []
    endless.append(endless)
    assert mask_secrets("any text", Order(endless)) == "***"


@pytest.mark.parametrize(
    ("value", "text", "shown"),
    [
        ({"number": "4111x", "kind": ["debit"]}, "number 4111x is no debit", "number *** is no ***"),
        (Order("hunter22", 12345), "plain 12345, hunter22", "plain ***, ***"),
        (Address("Elm Street", "York"), "street: Elm Street, York", "street: ***, ***"),
        ([None, True, "abc", b"hunter22"], "None, True, abc, abcd, hunter22", "None, True, ***, abcd, ***"),
        ([1, "x", 12], "version 1 of x: 12", "version 1 of x: ***"),
        (12345, "12345 is too much", "*** is too much"),
    ],
)
def test_no_value_of_data_is_in_the_text(value: Any, text: str, shown: str) -> None:
    # DF-21
    assert mask_values(text, value) == shown


def test_many_secrets_are_masked_in_one_pass() -> None:
    # DF-18
    def steps(count: int) -> int:
        message = Order([f"secret-{number}" for number in range(count)])
        return calls_of(lambda: mask_secrets(" ".join(message.secret), message))

    few, many = steps(100), steps(400)
    assert many < 5 * few, (few, many)


def test_a_value_that_cannot_be_shown_is_named_with_its_error() -> None:
    def show(value: Any) -> str:
        raise ValueError("4111 1111")

    assert show_safely(show, Order()) == "<Order that cannot be shown: ValueError>"
    assert show_safely(str, 7) == "7"
