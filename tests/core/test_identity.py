"""Observers, parts and components are known by identity, whatever they are equal to."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec import defstruct

from modd import Bus, Failure, Message, Observer, Part, TurnFailed, UnknownComponent
from modd.core import Delivery
from modd.core.identity import WeakObjects
from modd.cqrs import CommandBus
from modd.errors import BusInsideItself, DuplicateName
from tests.cqrs.shop import Create
from tests.names import A, B

pytestmark = pytest.mark.anyio


class EqualToAll:
    """Equal to everything, and without a hash."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Component(EqualToAll):
    """A component that notes its messages."""

    def __init__(self) -> None:
        self.got: list[Message] = []

    def __call__(self, message: A) -> None:
        self.got.append(message)

    def on_b(self, message: B) -> None:
        self.got.append(message)


class EqualPart(EqualToAll, Part):
    """A part that is equal to every other."""


class EqualBus(EqualToAll, Bus):
    """A bus that is equal to every other."""


class EqualCommandBus(EqualToAll, CommandBus):
    """A typed bus that is equal to every other."""


@dataclass
class Count(Observer):
    """Counts deliveries; equal to a count with the same numbers."""

    began_: int = 0
    added_: list[str] = field(default_factory=list)

    def began(self, delivery: Delivery) -> None:
        self.began_ += 1


class Broken(EqualToAll, Observer):
    """Equal to everything."""


async def test_each_observer_is_told_whatever_it_is_equal_to() -> None:
    # DF-6
    outer = Bus([inner := Bus([lambda message: None], name="inner")])
    one, two = Count(), Count()
    with outer.observe(one), inner.observe(two), outer.observe(Broken()), inner.observe(one):
        assert one == two
        await outer(A())
        assert (one.began_, two.began_) == (2, 1)
    await outer(A())
    assert (one.began_, two.began_) == (2, 1)


async def test_the_end_of_a_block_removes_its_own_observer() -> None:
    bus, one, two = Bus([lambda message: None]), Count(), Count()
    with bus.observe(one):
        with bus.observe(two):
            pass
        await bus(A())
    assert (one.began_, two.began_) == (1, 0)


@pytest.mark.parametrize("kind", [Component, Bus, EqualBus, EqualPart])
async def test_components_are_added_found_and_removed_whatever_they_are_equal_to(kind: Any) -> None:
    # DF-6
    make = (lambda: EqualPart(Component())) if kind is EqualPart else kind
    first, second, third = make(), make(), make()
    bus = EqualBus([first, second], name="bus")
    with pytest.raises(UnknownComponent):
        bus.remove(third)
    bus.remove(second)
    assert len(bus.components) == 1 and bus.components[0] is first
    bus.add(third)
    bus.remove(first)
    assert len(bus.components) == 1 and bus.components[0] is third
    if isinstance(first, Part) and isinstance(third, Part):
        assert first.around == () and [each is bus for each in third.around] == [True]


async def test_a_message_reaches_components_that_are_equal() -> None:
    one, two = Component(), Component()
    bus = EqualBus([one, EqualPart(two), EqualBus([Component()])])
    await bus(A())
    await bus(B())
    assert one.got == two.got == [A()]
    with pytest.raises(BusInsideItself, match="bus > bus"):
        bus.add(bus)
    with pytest.raises(BusInsideItself, match="bus > EqualPart > bus"):
        bus.add(EqualPart(bus))


async def test_bound_methods_are_known_by_object_and_function() -> None:
    # DF-6
    one, two = Component(), Component()
    items: list[Any] = []
    bus = Bus([one.on_b, two.on_b, items.append, one.got.append])
    bus.remove(two.on_b)
    bus.remove(items.append)
    await bus(B())
    assert (one.got, two.got, items) == ([B(), B()], [], [])
    others: list[Any] = [two.on_b, items.append, one, [].append, one.got.clear]
    for component in others:
        with pytest.raises(UnknownComponent):
            bus.remove(component)
    bus.remove(one.on_b)
    assert [component.__name__ for component in bus.components] == ["append"]


async def test_a_part_that_is_inside_twice_keeps_its_bus_until_it_is_removed_twice() -> None:
    part = EqualPart(Component())
    bus = Bus([part, EqualPart(Component()), part])
    bus.remove(part)
    assert [each is bus for each in part.around] == [True]
    bus.remove(part)
    assert part.around == ()


async def test_intents_are_asked_overridden_and_their_events_flow_on_among_equal_buses() -> None:
    # DF-6
    heard: list[Any] = []

    async def create(command: Create, emit: Any = None) -> int:
        return 1

    commands = EqualCommandBus([create])
    bus = EqualBus([EqualBus([commands]), EqualBus([EqualCommandBus()]), EqualPart(heard.append)])
    assert await bus.ask(Create()) == 1
    with bus.override({Create: lambda command: 2}):
        assert await bus.ask(Create()) == 2
    assert await bus.ask(Create()) == 1 and heard == [Create()] * 3


async def test_equal_errors_of_two_components_are_two_failures() -> None:
    class Equal(EqualToAll, Exception):
        """Equal to every error."""

    def fail(message: A) -> None:
        raise Equal("first")

    def handle(failure: Failure) -> B:
        return B()

    def fail_again(message: B) -> None:
        raise Equal("second")

    inner = Bus([handle, fail_again], name="inner", inbound=[Failure])
    with pytest.raises(TurnFailed) as raised:
        await Bus([fail, inner], limit=20)(A())  # each failure makes another one
    assert "second" in [str(each) for error in raised.value.exceptions for each in getattr(error, "exceptions", ())]


def cell() -> Iterator[Any]:
    """Yield a type and a component for it: a cell of a notebook that is run again."""
    kind = defstruct("Added", [], bases=(Message,))

    def cart(message: Any) -> None: ...

    cart.__annotations__["message"] = kind
    yield from (kind, cart)


def test_a_type_that_no_component_accepts_any_more_frees_its_name() -> None:
    # DF-6
    (kind, old), (_, new) = cell(), cell()
    bus = Bus([old])
    with pytest.raises(DuplicateName):
        bus.add(new)
    bus.remove(old)
    bus.add(new)
    with pytest.raises(DuplicateName):
        bus.add(old)
    keeps = Bus([old, old, lambda message: None], inbound=[kind])
    keeps.remove(old)
    with pytest.raises(DuplicateName):
        keeps.add(new)
    keeps.remove(old)
    with pytest.raises(DuplicateName):
        keeps.add(new)


def test_a_weak_set_keeps_nothing_alive_and_knows_equal_objects_apart() -> None:
    objects: WeakObjects[Any] = WeakObjects()
    one, two = Component(), Component()
    objects.add(one)
    objects.add(two)
    objects.add(one)
    assert [id(each) for each in objects] == [id(one), id(two)]
    objects.discard(two)
    objects.discard(Component())
    assert [id(each) for each in objects] == [id(one)]
    objects.add(two)
    found = iter(objects)
    assert next(found) is one
    del two
    gc.collect()
    assert [*found] == []
    del one
    gc.collect()
    assert [*objects] == []
