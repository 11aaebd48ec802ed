"""Outbound: a component does not receive its own messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from modd import Bus, Failure, Message, NotAComponent, TurnFailed
from modd.parts import Filter, Outbound, Reaction
from tests.parts.components import Listener, Resource

pytestmark = pytest.mark.anyio


class Said(Message):
    text: str


class Arrived(Message):
    text: str


class Socket:
    """Sends what was said inside, and brings in what was said outside."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def __call__(self, message: Said | Arrived) -> Said | None:
        if isinstance(message, Arrived):
            return Said(message.text)
        self.sent.append(message.text)
        return None


@pytest.mark.parametrize("wrap", [lambda part: part, Filter, lambda part: Filter(Reaction(part))])
async def test_its_own_messages_do_not_come_back(wrap: Callable[[Any], Any]) -> None:
    # MO-15
    socket, heard = Socket(), Listener()
    bus = Bus([wrap(Outbound(socket)), heard])
    await bus(Arrived("hello"))
    await bus(Said("mine"))
    await bus(Arrived("again"))
    assert heard.messages == [Arrived("hello"), Said("hello"), Said("mine"), Arrived("again"), Said("again")]
    assert socket.sent == ["mine"]


async def test_an_equal_message_and_the_same_object_from_another_are_given_to_it() -> None:
    # MO-15 MO-10
    said = Said("hello")
    socket: list[Message] = []

    def talk(message: Message) -> Message | None:
        socket.append(message)
        return said if isinstance(message, Arrived) else None

    def echo(message: Arrived) -> list[Message]:
        return [said, Said("hello")]

    await Bus([Outbound(talk), echo])(Arrived("x"))
    assert socket == [Arrived("x"), said, said]


async def test_two_of_them_hear_each_other() -> None:
    # MO-15
    one, two = Socket(), Socket()
    await Bus([Outbound(one), Filter(Outbound(two), deny=Arrived)])(Arrived("hello"))
    assert (one.sent, two.sent) == ([], ["hello"])


async def talk_async(message: Arrived | Said) -> Said:
    return Said("again")


def talk_generator(message: Arrived | Said) -> Iterator[Said]:
    yield Said("again")


async def talk_async_generator(message: Arrived | Said) -> AsyncIterator[Said]:
    yield Said("again")


@pytest.mark.parametrize("talk", [talk_async, talk_generator, talk_async_generator])
async def test_results_of_every_kind_stay_away(talk: Callable[..., Any]) -> None:
    # MO-15
    heard = Listener()
    bus = Bus([Outbound(talk), heard])
    await bus(Arrived("x"))
    await bus(Said("y"))
    assert heard.messages == [Arrived("x"), Said("again"), Said("y"), Said("again")], "one answer each, no loop"


async def test_a_bus_that_talks_outwards_keeps_what_left_it_when_its_turn_fails() -> None:
    # MO-15 MO-17
    def boom(message: Arrived) -> None:
        raise ValueError("boom")

    heard = Listener()
    inner = Bus([Socket(), boom], inbound=[Arrived, Said], outbound=[Said])
    with pytest.raises(TurnFailed):
        await Bus([Outbound(inner), heard])(Arrived("hello"))
    assert heard.messages[:2] == [Arrived("hello"), Said("hello")]


async def test_its_own_failure_is_not_given_to_it_to_handle() -> None:
    # MO-15
    given: list[Message] = []

    def talk(message: Arrived | Failure) -> None:
        given.append(message)
        raise ConnectionError("down")

    with pytest.raises(TurnFailed) as info:
        await Bus([Outbound(talk)], name="outer")(Arrived("x"))
    assert given == [Arrived("x")]
    (error,) = info.value.exceptions
    assert error.__notes__[0].startswith("modd: raised by Outbound(test_its_own_failure")


async def test_it_is_opened_and_named_with_its_component() -> None:
    # MO-15
    held = Resource()
    part = Outbound(held)
    async with Bus([part]) as bus:
        await bus(Said("x"))
    assert held.log == ["opened", "Said", "closed"]
    assert part.name == "Outbound(Resource)"
    with pytest.raises(NotAComponent):
        Outbound(Socket)  # type: ignore[arg-type]  # pyright: ignore
