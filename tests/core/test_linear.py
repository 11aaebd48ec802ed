"""Registering costs each component the same, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec import defstruct

from modd import Bus
from modd.cqrs import CommandBus, Event, EventBus
from tests.cqrs.shop import Create, Created
from tests.names import A
from tests.steps import calls_of


def components(kind: Any, count: int) -> list[Any]:
    def make() -> Any:
        def component(message: Any) -> None: ...

        component.__annotations__["message"] = kind
        return component

    return [make() for _ in range(count)]


def remove_all(count: int) -> Callable[[], Any]:
    bus = Bus(components(A, count))
    return lambda: [*map(bus.remove, bus.components)]


def add_all(count: int) -> Callable[[], Any]:
    bus, added = Bus(), components(A, count)
    outer = Bus([bus])
    return lambda: [outer, *map(bus.add, added)]


def of_types(count: int) -> Callable[[], Any]:
    kinds = [defstruct(f"E{number}", [], bases=(Event,)) for number in range(count)]
    return partial(EventBus, [component for kind in kinds for component in components(kind, 1)])


MAKERS: dict[str, Callable[[int], Callable[[], Any]]] = {
    "components": lambda count: partial(Bus, components(A, count)),
    "by name": lambda count: partial(Bus, components("A", count)),
    "buses": lambda count: partial(Bus, [Bus([each]) for each in components(A, count)]),
    "events": lambda count: partial(EventBus, components(Created, count)),
    "commands": lambda count: partial(CommandBus, components(Create, count), multiple=True),
    "types": of_types,
    "add": add_all,
    "remove": remove_all,
}


@pytest.mark.unmeasured
@pytest.mark.costly
@pytest.mark.parametrize("made", MAKERS)
def test_registering_four_times_as_many_takes_four_times_as_many_steps(made: str) -> None:
    # DF-18
    few, many = calls_of(MAKERS[made](50)), calls_of(MAKERS[made](200))
    assert many < 4.2 * few, (few, many)


@pytest.mark.parametrize("made", ["components", "by name", "add"])
def test_a_component_takes_few_steps(made: str) -> None:
    assert calls_of(MAKERS[made](100)) < 100 * 120
