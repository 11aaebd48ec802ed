"""Misuse is told: each error names what was given, what is known, and the cure."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, Message, NotAComponent, TurnFailed
from modd.cqrs import Command, CommandBus, EventBus, InvalidHandler
from modd.errors import DuplicateName, InvalidOption
from modd.parts import Filter, Spawn
from tests.cqrs.shop import Create, Created
from tests.names import A, B

pytestmark = pytest.mark.anyio


class Cart:
    """Has methods, and is equal to everything."""

    def handle(self, message: A) -> None: ...

    def create(self, command: Create) -> int:
        return 1

    def clear(self) -> None: ...

    def __call__(self, message: A) -> None: ...

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def function(self: A) -> None: ...
def nothing(message: None) -> None: ...


@pytest.mark.parametrize("method", [Cart.handle, Cart.create, Cart.clear])
def test_a_method_that_is_not_bound_is_told_with_its_class(method: Any) -> None:
    # DF-26
    cure = rf"it is a method of Cart, but of no object; .* Cart\(\)\.{method.__name__}"
    with pytest.raises(NotAComponent, match=cure):
        Bus([method])
    with pytest.raises(InvalidHandler, match=cure):
        CommandBus({Create: method})
    with pytest.raises(InvalidHandler, match=cure):
        CommandBus([method])


def test_a_function_whose_parameter_is_called_self_is_a_component() -> None:
    def local(self: A) -> None: ...

    assert Bus([function]).accepts.types == (A,) and Bus([lambda self: None]).accepts.everything
    with pytest.raises(NotAComponent, match="requires 'more'"):
        Bus([lambda self, more: None])  # type: ignore[list-item,misc]


def test_a_parameter_that_is_none_is_told() -> None:
    # DF-26
    with pytest.raises(NotAComponent, match=r"nothing.* it accepts 'None', which is no message type; annotate"):
        Bus([nothing])
    with pytest.raises(InvalidHandler, match=r"nothing .* does not say what it takes"):
        CommandBus([nothing])


async def test_a_component_that_is_equal_to_everything_gets_what_it_accepts() -> None:
    # DF-26
    bus = Bus([Cart()])
    assert bus.accepts.types == (A,)
    await bus(B())


class Nameless(Message, tag=False): ...


class AlsoNameless(Message, tag=False): ...


class Order(Command[int], tag=False): ...


class Cancel(Command[int], tag=False): ...


async def test_two_types_without_a_name_are_told_by_the_cure() -> None:
    # DF-26
    def one(message: Nameless) -> None: ...
    def two(message: AlsoNameless) -> None: ...

    one.__annotations__["message"], two.__annotations__["message"] = Nameless, AlsoNameless
    await Bus([one])(Nameless())
    text = r"two message types without a name, .*Nameless and .*AlsoNameless: in place of tag=False .* tag=\"\.\.\.\""
    with pytest.raises(DuplicateName, match=text):
        Bus([one, two], name="shop")
    with pytest.raises(DuplicateName, match="types without a name"):
        CommandBus({Order: len, Cancel: len})


async def test_a_component_that_returns_a_component_for_each_message_is_told() -> None:
    # DF-26
    def sloppy(message: A) -> Any:
        return [lambda message: None, lambda message: None] if message == A() else None

    bus = Bus([sloppy], name="shop")
    for _ in range(100):
        await bus(A())
    with pytest.raises(TurnFailed) as raised:
        await bus(A())
    [error] = raised.value.exceptions
    assert isinstance(error, NotAComponent) and len(bus.components) == 201
    assert "sloppy has returned components for 100 messages, and shop keeps them all" in str(error)
    assert "Spawn" in str(error)
    bus.remove(bus.components[-1])  # who removes components looks after them
    await bus(A())


@pytest.mark.costly
async def test_many_components_for_one_message_and_those_of_spawn_are_added() -> None:
    bus = Bus(
        [lambda message: [print] * 200 if message == B() else None, Filter(Spawn(A, lambda message: Cart()), allow=[A])]
    )
    await bus(B())
    assert len(bus.components) == 202
    for _ in range(150):
        await bus(A())
    assert len(bus.components) == 352


@pytest.mark.parametrize("wrong", ["no", 0, None, 1])
def test_a_flag_is_true_or_false(wrong: Any) -> None:
    # DF-26
    for make in (
        lambda: Bus(concurrent=wrong),
        lambda: CommandBus(concurrent=wrong),
        lambda: CommandBus(multiple=wrong),
        lambda: EventBus(strict=wrong),
    ):
        with pytest.raises(InvalidOption, match=r"=.*: give True or False"):
            make()


async def test_a_coroutine_as_an_exclusive_key_is_told() -> None:
    # DF-26
    async def key(message: Message) -> str:
        return "key"

    bus = Bus([lambda message: None], name="shop", exclusive=lambda message: key(message))
    with pytest.raises(InvalidOption, match="its key for Created is a coroutine; give a function"):
        await bus(Created())
