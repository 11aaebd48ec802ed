"""Reaction passes changes only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, Failure, InvalidOption, Message, TurnFailed
from modd.parts import Filter, Reaction
from tests.parts.components import Listener, Resource

pytestmark = pytest.mark.anyio


class Total(Message):
    amount: int
    by: str = ""


class Stock(Message):
    amount: int


class Shown(Message):
    amount: int


async def test_a_message_passes_only_if_it_differs_from_the_one_of_its_type_before() -> None:
    # MO-20
    heard = Listener()
    bus = Bus([Reaction(heard)])
    for message in (Total(1), Total(1), Stock(1), Total(1), Total(2), Stock(1), Total(1)):
        await bus(message)
    assert heard.messages == [Total(1), Stock(1), Total(2), Total(1)]


async def test_the_key_says_what_has_to_differ() -> None:
    # MO-20
    heard = Listener()
    bus = Bus([Reaction(heard, key=lambda message: message.amount)])
    for message in (Total(1, "a"), Total(1, "b"), Total(2, "b")):
        await bus(message)
    assert heard.messages == [Total(1, "a"), Total(2, "b")]


async def test_a_key_of_none_is_a_key() -> None:
    # MO-20
    heard = Listener()
    bus = Bus([Reaction(heard, key=lambda message: None)])
    await bus(Total(1))
    await bus(Total(2))
    assert heard.messages == [Total(1)]


def show(message: Total) -> Shown:
    return Shown(message.amount)


async def show_async(message: Total) -> Shown:
    await checkpoint()
    return Shown(message.amount)


def show_generator(message: Total) -> Iterator[Shown]:
    yield Shown(message.amount)


async def show_async_generator(message: Total) -> AsyncIterator[Shown]:
    yield Shown(message.amount)


@pytest.mark.parametrize("component", [show, show_async, show_generator, show_async_generator])
async def test_results_of_every_kind_of_component_are_passed_on(component: Callable[..., Any]) -> None:
    # MO-20
    heard = Listener()
    bus = Bus([Filter(Reaction(component)), heard])
    await bus(Total(1))
    await bus(Total(1))
    assert heard.messages == [Total(1), Shown(1), Total(1)]


def boom_at_first() -> list[Callable[..., Any]]:
    """Components of every kind that fail on the first message and never again."""
    left = {"sync": 1, "async": 1, "generator": 1, "async generator": 1, "text": 1}

    def fails(kind: str) -> bool:
        left[kind] -= 1
        return left[kind] == 0

    def sync(message: Total) -> Shown:
        if fails("sync"):
            raise ValueError("sync")
        return Shown(message.amount)

    async def coroutine(message: Total) -> Shown:
        await checkpoint()
        if fails("async"):
            raise ValueError("async")
        return Shown(message.amount)

    def generator(message: Total) -> Iterator[Shown]:
        if fails("generator"):
            raise ValueError("generator")
        yield Shown(message.amount)

    async def async_generator(message: Total) -> AsyncIterator[Shown]:
        await checkpoint()
        if fails("async generator"):
            raise ValueError("async generator")
        yield Shown(message.amount)

    def text(message: Total) -> Any:
        return "no message" if fails("text") else Shown(message.amount)

    return [sync, coroutine, generator, async_generator, text]


@pytest.mark.parametrize("kind", range(5))
async def test_a_message_that_the_component_failed_on_passes_again(kind: int) -> None:
    # MO-20
    heard = Listener()
    bus = Bus([Reaction(boom_at_first()[kind]), heard])
    with pytest.raises(TurnFailed):
        await bus(Total(1))
    await bus(Total(1))
    await bus(Total(1))
    assert heard.messages.count(Shown(1)) == 1


async def test_a_message_on_which_the_component_was_cancelled_passes_again() -> None:
    # MO-20
    started, passed = anyio.Event(), list[int]()

    async def slow(message: Total) -> None:
        passed.append(message.amount)
        if not started.is_set():
            started.set()
            await anyio.sleep_forever()

    bus = Bus([Reaction(slow)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus, Total(1))
        await started.wait()
        tasks.cancel_scope.cancel()
    await bus(Total(1))
    assert passed == [1, 1]


async def test_an_equal_message_sent_meanwhile_does_not_pass() -> None:
    # MO-20
    bus, passed = Bus(), list[int]()

    async def again(message: Total) -> None:
        passed.append(message.amount)
        await bus(message)

    bus.add(Reaction(again))
    await bus(Total(1))
    assert passed == [1], "no loop"


async def test_a_failure_does_not_forget_what_has_passed_meanwhile() -> None:
    # MO-20
    bus, passed = Bus(), list[int]()

    async def work(message: Total) -> None:
        passed.append(message.amount)
        if message.amount == 1:
            await bus(Total(2))
            raise ValueError("boom")

    bus.add(Reaction(work))
    with pytest.raises(TurnFailed):
        await bus(Total(1))
    await bus(Total(2))
    await bus(Total(3))
    assert passed == [1, 2, 3]


async def test_failures_always_pass() -> None:
    # MO-20
    error, handled = ValueError("boom"), list[Exception]()

    def boom(message: Total) -> None:
        raise error

    def handle(failure: Failure) -> None:
        handled.append(failure.error)

    bus = Bus([boom, Reaction(handle)])
    await bus(Total(1))
    await bus(Total(1))
    assert handled == [error, error]


async def test_a_key_that_fails_changes_nothing() -> None:
    # MO-20
    heard = Listener()
    bus = Bus([Reaction(heard, key=lambda message: 10 // message.amount)])
    await bus(Total(1))
    with pytest.raises(TurnFailed) as info:
        await bus(Total(0))
    assert info.value.exceptions[0].__notes__ == ["modd: raised by Reaction(Listener) when given Total in bus"]
    await bus(Total(1))
    assert [message for message in heard.messages if isinstance(message, Total)] == [Total(1)]


async def test_a_bus_keeps_its_boundary_and_is_opened() -> None:
    # MO-20 MO-6
    held, inside = Resource(), Listener()
    inner = Bus([show, inside, Filter(held, allow=Total)], inbound=[Total, Shown], outbound=[Shown])
    async with Bus([Reaction(inner)]) as bus:
        await bus(Total(1))
        await bus(Total(1))
    assert inside.messages == [Total(1), Shown(1)]
    assert held.log == ["opened", "Total", "closed"]


async def a_key(message: Message) -> int:
    return 1


async def test_a_key_has_to_answer_at_once() -> None:
    # MO-20 MO-13
    with pytest.raises(InvalidOption, match="not async"):
        Reaction(Listener(), key=a_key)
    bus = Bus([Reaction(show, key=lambda message: a_key(message))])
    with pytest.raises(TurnFailed) as info:
        await bus(Total(1))
    assert "it returned a coroutine" in str(info.value.exceptions[0])
