"""Entropy: dice that were thrown before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modd import InvalidOption
from modd.cqrs import Command
from modd.service import Entropy, TooFewValues


class Roll(Command[None]):
    dice: Entropy[int]


def test_values_are_taken_in_order_and_the_rest_remains() -> None:
    # WM-49
    dice = Entropy([6, 1, 4])
    first, rest = dice.take(2)
    assert (first, rest, len(rest), dice) == ((6, 1), Entropy([4]), 1, Entropy((6, 1, 4)))
    assert rest.take(0) == ((), rest)
    assert rest.take(1) == ((4,), Entropy([]))
    assert hash(rest) == hash(Entropy([4]))


def test_too_few_values_are_an_error_that_says_how_many() -> None:
    # WM-49
    with pytest.raises(TooFewValues) as raised:
        Entropy([6]).take(3)
    assert (raised.value.wanted, raised.value.left) == (3, 1)
    assert str(raised.value) == "3 values wanted, and 1 left; give Entropy 2 more"


@pytest.mark.parametrize("values", ["6142", 6, {6, 1}, None])
def test_values_that_are_no_list_are_refused_when_they_are_given(values: Any) -> None:
    # WM-49
    with pytest.raises(InvalidOption, match="values="):
        Entropy(values)


@pytest.mark.parametrize("number", [-1, 1.0, "1", True])
def test_a_number_of_values_is_a_whole_number(number: Any) -> None:
    # WM-49
    with pytest.raises(InvalidOption, match="number="):
        Entropy([6]).take(number)


def test_it_may_be_a_field_of_a_command() -> None:
    # WM-49
    roll = Roll(Entropy([6, 1]))
    assert msgspec.json.decode(msgspec.json.encode(roll), type=Roll) == roll
