"""Two aggregates of one name would store in the same streams, so a bus takes only one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd import Bus, InvalidOption, Part
from modd.cqrs import CommandBus
from modd.stores import MemoryStore
from tests.aggregate.billing import invoices

CURE = r"stores under the name 'invoice'; give each a name of its own"


def beside() -> Bus:
    return Bus([invoices(), invoices()], name="desk")


def with_a_copy() -> Bus:
    one = invoices()
    return Bus([one, one.stored(MemoryStore())], name="desk")


def in_another_bus() -> Bus:
    return Bus([invoices(), Bus([invoices()])], name="desk")


def in_two_buses() -> Bus:
    return Bus([Bus([invoices()]), Bus([Part(invoices())])], name="desk")


@pytest.mark.parametrize("make", [beside, with_a_copy, in_another_bus, in_two_buses])
def test_two_aggregates_of_one_name_in_a_bus_are_refused_when_it_is_made(make: Callable[[], Bus]) -> None:
    # WM-154
    with pytest.raises(InvalidOption, match=CURE) as caught:
        make()
    assert caught.value.option == "components"


def test_an_aggregate_that_is_refused_is_not_in_the_bus() -> None:
    # WM-154
    first, inner = invoices(), Bus(name="inner")
    outer = Bus([first, inner])
    with pytest.raises(InvalidOption, match=CURE):
        inner.add(invoices())
    assert (inner.components, outer.components) == ((), (first, inner))
    outer.remove(first)
    inner.add(invoices())


def test_one_aggregate_in_two_places_and_typed_buses_of_one_name_are_taken_when_a_bus_is_made() -> None:
    # WM-154
    one: Any = invoices()
    assert len(Bus([one, Bus([one])]).components) == 2
    assert len(Bus([CommandBus(name="invoice"), CommandBus(name="invoice"), one]).components) == 3
