"""A middleware in multiple buses keeps their keys apart by the names of the buses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd import Bus
from modd.cqrs import Command, CommandBus, QueryBus
from modd.errors import InvalidOption
from modd.middleware import Cacher, CircuitBreaker, Enqueue, Idempotency, Lock, RateLimit
from modd.stores import MemoryQueue

MAKERS: dict[str, Callable[[], Any]] = {
    "Cacher": Cacher,
    "CircuitBreaker": lambda: CircuitBreaker(1, reset_after=1),
    "Enqueue": lambda: Enqueue(MemoryQueue()),
    "Idempotency": Idempotency,
    "Lock": lambda: Lock(lambda envelope: "all"),
    "RateLimit": lambda: RateLimit(1, per=1),
}


class Ping(Command[None]):
    pass


class Handler:
    """A handler that knows its bus, and so is in a circle with it."""

    bus: CommandBus

    def __call__(self, command: Ping) -> None:
        pass


@pytest.mark.parametrize("name", MAKERS)
def test_one_that_keeps_keys_refuses_two_buses_of_one_name(name: str) -> None:
    # MI-60
    shared, kind = MAKERS[name](), QueryBus if name == "Cacher" else CommandBus
    first = kind(middleware=[shared], name="first")
    with pytest.raises(InvalidOption, match=f"this {name} is in another bus .* names of their own"):
        kind(middleware=[shared], name="first")
    kind(middleware=[shared], name="other")
    kind(middleware=[MAKERS[name]()], name="first")
    first.use(shared)


@pytest.mark.parametrize("name", MAKERS)
def test_of_buses_that_are_named_by_their_place_it_refuses_the_second_of_one_name_when_that_is_checked(
    name: str,
) -> None:
    # MI-60 DF-12
    shared, kind = MAKERS[name](), QueryBus if name == "Cacher" else CommandBus
    first, second, third = (kind(middleware=[shared]) for _ in range(3))
    app = Bus([first, Bus([second], name="billing"), Bus([third], name="shipping")])
    for bus in (first, second, third):
        bus.check()
    [*_, shipping] = app.components
    app.remove(shipping)
    app.add(third)
    with pytest.raises(InvalidOption, match=f"this {name} is in another bus .* names of their own"):
        third.check()


def test_a_bus_that_is_gone_does_not_count() -> None:
    # MI-60
    lock = Lock(lambda envelope: "all")
    for _ in range(3):
        handler = Handler()
        handler.bus = CommandBus({Ping: handler}, middleware=[lock])
