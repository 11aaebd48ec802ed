"""Remember gives a component the latest messages of other types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

import pytest

from modd import Bus, Failure, InvalidOption, Message, NotAComponent, Part, TurnFailed
from modd.parts import Filter, Remember
from tests.parts.components import Listener

pytestmark = pytest.mark.anyio


class Checkout(Message):
    pass


class Total(Message):
    n: int


class Final(Total):
    pass


class Address(Message):
    text: str


class Paid(Message):
    total: Total | None
    address: Address | None


def pay(message: Checkout, total: Total | None, address: Address | None) -> Paid:
    return Paid(total, address)


async def pay_async(message: Checkout, total: Total | None, address: Address | None) -> Paid:
    return Paid(total, address)


def pay_generator(message: Checkout, total: Total | None, address: Address | None) -> Iterator[Paid]:
    yield Paid(total, address)


async def pay_async_generator(message: Checkout, total: Total | None, address: Address | None) -> AsyncIterator[Paid]:
    yield Paid(total, address)


def pay_positional(message: Checkout, total: Total | None, address: Address | None, /) -> Paid:
    return Paid(total, address)


def pay_by_default(
    message: Checkout, total: Total | None = None, address: Address | None = None, *, tax: int = 0
) -> Paid:
    return Paid(total, address)


def pay_all(message: Checkout, *latest: Any) -> Paid:
    return Paid(*latest)


def pay_everything(*latest: Any) -> Paid | None:
    return Paid(*latest[1:]) if isinstance(latest[0], Checkout) else None


def pay_to(account: str, message: Checkout, total: Total | None, address: Address | None) -> Paid:
    return Paid(total, address)


class Till:
    name = "till"

    def __call__(self, message: Checkout, total: Total | None, address: Address | None) -> Paid:
        return Paid(total, address)

    def pay(self, message: Checkout, total: Total | None, address: Address | None) -> Paid:
        return Paid(total, address)


@pytest.mark.parametrize(
    "component",
    [
        pay,
        pay_async,
        pay_generator,
        pay_async_generator,
        pay_positional,
        pay_by_default,
        pay_all,
        pay_everything,
        partial(pay_to, "account"),
        Till(),
        Till().pay,
    ],
)
async def test_further_arguments_get_the_latest_in_the_order_of_the_types(component: Callable[..., Any]) -> None:
    # MO-21
    heard = Listener()
    bus = Bus([Remember(component, Total, Address), Filter(heard, allow=Paid)])
    await bus(Checkout())
    for message in (Total(1), Address("here"), Final(2)):
        await bus(message)
    await bus(Checkout())
    await bus(Checkout())
    paid = Paid(Final(2), Address("here"))
    assert heard.messages == [Paid(None, None), paid, paid]


async def test_a_message_of_a_remembered_type_is_itself_the_latest() -> None:
    # MO-21
    given: list[tuple[Message, Message | None]] = []

    def compare(message: Checkout | Total, total: Total | None) -> None:
        given.append((message, total))

    bus = Bus([Remember(compare, Total)])
    await bus(Total(1))
    await bus(Checkout())
    assert given == [(Total(1), Total(1)), (Checkout(), Total(1))]


async def test_it_accepts_what_the_component_does_and_the_types() -> None:
    # MO-21
    part = Remember(pay, Total, Address)
    assert part.accepts.types == (Checkout, Total, Address)
    assert not part.accepts.takes(Paid)
    inside: tuple[object, ...] = part.components
    assert inside == (pay,)
    assert part.name == "Remember(pay)"


def shop(inside: Listener, **boundary: Any) -> Bus:
    return Bus([inside], name="shop", **boundary)


async def test_a_bus_is_given_the_latest_as_messages_just_ahead_of_the_message() -> None:
    # MO-21
    inside = Listener()
    bus = Bus([Filter(Remember(shop(inside, inbound=[Checkout]), Total, Address))])
    for message in (Checkout(), Address("here"), Total(1), Total(2), Checkout()):
        await bus(message)
    assert inside.messages == [Checkout(), Total(2), Address("here"), Checkout()]


async def test_a_message_is_not_given_ahead_of_itself_and_one_of_two_types_only_once() -> None:
    # MO-21
    inside = Listener()
    bus = Bus([Remember(shop(inside), Total, Final, Address)])
    await bus(Final(1))
    await bus(Address("here"))
    assert inside.messages == [Final(1), Final(1), Address("here")]


async def test_a_component_that_takes_the_message_alone_has_to_accept_the_types() -> None:
    # MO-21
    given: list[Message] = []

    def take(message: Checkout | Total) -> None:
        given.append(message)

    bus = Bus([Remember(take, Total)])
    await bus(Total(1))
    await bus(Checkout())
    assert given == [Total(1), Total(1), Checkout()]
    with pytest.raises(InvalidOption, match="take cannot take Address; add a parameter for each type"):
        Remember(take, Address)


async def test_a_function_that_tells_nothing_of_its_parameters_takes_the_message_alone() -> None:
    # MO-21
    assert Remember(max, Total).accepts.everything


async def test_a_bus_keeps_its_boundary() -> None:
    # MO-21 MO-6
    inside = Listener()

    def total(message: Checkout) -> Total:
        return Total(1)

    inner = Bus([total, inside], inbound=[Checkout, Total, Address], outbound=[Total])
    await Bus([Remember(inner, Address)])(Checkout())
    assert inside.messages == [Checkout(), Total(1)]


async def test_what_was_remembered_stays_when_the_component_fails() -> None:
    # MO-21
    heard = Listener()

    def fail(message: Checkout | Total, total: Total | None) -> Paid:
        if isinstance(message, Total):
            raise ValueError("boom")
        return Paid(total, None)

    bus = Bus([Remember(fail, Total), Filter(heard, allow=Paid)])
    with pytest.raises(TurnFailed):
        await bus(Total(1))
    await bus(Checkout())
    assert heard.messages == [Paid(Total(1), None)]


async def test_a_component_that_fails_with_one_given_ahead_does_not_get_the_message() -> None:
    # MO-21
    given: list[Message] = []

    async def boom(message: Total | Checkout) -> None:
        given.append(message)
        if isinstance(message, Total) and len(given) > 1:
            raise ValueError("boom")

    bus = Bus([Remember(boom, Total)])
    await bus(Total(1))
    with pytest.raises(TurnFailed) as info:
        await bus(Checkout())
    assert given == [Total(1), Total(1)]
    assert len(info.value.exceptions) == 1


async def test_to_remember_a_failure_is_not_to_handle_it() -> None:
    # MO-21
    failed: list[Failure | None] = []

    def boom(message: Total) -> None:
        raise ValueError("boom")

    def report(message: Checkout, failure: Failure | None) -> None:
        failed.append(failure)

    bus = Bus([boom, Remember(report, Failure)])
    with pytest.raises(TurnFailed):
        await bus(Total(1))
    await bus(Checkout())
    assert [failure and type(failure.error) for failure in failed] == [ValueError]


async def test_a_component_that_handles_failures_does_so_inside() -> None:
    # MO-21
    handled: list[tuple[Any, Any]] = []

    def boom(message: Checkout) -> None:
        raise ValueError("boom")

    def handle(failure: Failure, total: Total | None) -> None:
        handled.append((type(failure.error), total))

    bus = Bus([Remember(handle, Total), boom])
    await bus(Total(1))
    await bus(Checkout())
    assert handled == [(ValueError, Total(1))]


async def test_a_component_with_further_arguments_is_opened_and_found() -> None:
    # MO-21
    log: list[str] = []

    class Door:
        name = "door"

        def __call__(self, message: Checkout, total: Total | None) -> None:
            log.append(f"{total}")

        async def __aenter__(self) -> None:
            log.append("opened")

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            log.append("closed")

    door = Door()
    async with Bus([Remember(door, Total)]) as bus:
        await bus(Checkout())
        found: object = bus.find("door")
    assert found is door
    assert log == ["opened", "None", "closed"]


async def test_a_component_with_further_arguments_is_in_the_graph() -> None:
    # MO-21 MO-26
    graph = str(Bus([Remember(pay, Total, Address)]).graph())
    assert "Remember(pay): Checkout, Total, Address" in graph
    assert "  pay: Checkout" in graph


async def pay_with(message: Checkout, total: Total, *, key: str) -> None: ...


@pytest.mark.parametrize(
    ("component", "types", "error", "text"),
    [
        (pay, [], InvalidOption, "name at least 1 message type"),
        (pay, [Total, Total], InvalidOption, "name each message type once"),
        (pay, [Total, 3], InvalidOption, "give a message type"),
        (pay, [Total], InvalidOption, "pay takes 2 arguments besides the message; name a type for each"),
        (pay, [Total, Address, Paid], InvalidOption, "pay takes 2 arguments besides the message"),
        (pay_by_default, [Total, Address, Paid], InvalidOption, "takes 2 arguments besides the message"),
        (pay_with, [Total], NotAComponent, r"requires 'key' besides the message; .*functools.partial\(pay_with, key="),
        (Till, [Total], NotAComponent, r"did you mean Till\(\)"),
        ("pay", [Total], NotAComponent, "cannot be called"),
        (lambda: None, [Total], NotAComponent, "it takes no message"),
    ],
)
async def test_what_does_not_fit_fails_when_it_is_made(component: Any, types: Any, error: Any, text: str) -> None:
    # MO-21 MO-13
    with pytest.raises(error, match=text):
        Remember(component, *types)


async def test_a_part_of_ones_own_can_be_inside() -> None:
    # MO-21
    class Twice(Part):
        def __call__(self, message: Any, /) -> Any:
            return [super().__call__(message), super().__call__(message)]

    heard = Listener()
    await Bus([Remember(Twice(heard), Total)])(Checkout())
    assert heard.messages == [Checkout(), Checkout()]
