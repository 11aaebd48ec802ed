"""Spawn builds components at run time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, Failure, InvalidOption, Message, NotAComponent, TurnFailed
from modd.parts import Filter, Spawn
from tests.parts.components import Listener

pytestmark = pytest.mark.anyio


class Came(Message):
    who: str


class CameBack(Came):
    pass


class Asked(Message):
    pass


class Greeted(Message):
    who: str


class Guest:
    """Greets when it comes and when it is asked."""

    def __init__(self, who: str) -> None:
        self.who = who

    def __call__(self, message: Came | Asked) -> Greeted:
        return Greeted(self.who)


async def test_a_component_is_built_activated_and_added() -> None:
    # MO-18
    heard = Listener()
    bus = Bus([Spawn(Came, lambda came: Guest(came.who)), heard])
    await bus(Came("ann"))
    assert heard.messages == [Came("ann"), Greeted("ann")]
    await bus(Asked())
    assert heard.messages[2:] == [Asked(), Greeted("ann")]


async def test_several_are_activated_in_their_order_and_each_message_builds_anew() -> None:
    # MO-18
    heard = Listener()
    bus = Bus([Spawn([Came, Asked], lambda _: [Guest("a"), Guest("b")]), heard])
    await bus(CameBack("x"))
    assert heard.messages == [CameBack("x"), Greeted("a"), Greeted("b")]
    assert len(bus.components) == 4
    await bus(Came("y"))
    assert len(bus.components) == 6


async def build_async(came: Came) -> list[Guest]:
    await checkpoint()
    return [Guest("a"), Guest("b")]


def build_generator(came: Came) -> Iterator[Guest]:
    yield Guest("a")
    yield Guest("b")


@pytest.mark.parametrize("build", [build_async, build_generator, lambda came: (Guest("a"), Guest("b"))])
async def test_build_may_be_async_or_a_generator(build: Callable[[Any], Any]) -> None:
    # MO-18
    heard = Listener()
    await Bus([Spawn(Came, build), heard])(Came("x"))
    assert heard.messages == [Came("x"), Greeted("a"), Greeted("b")]


async def greet_async(message: Came) -> Greeted:
    await checkpoint()
    return Greeted(message.who)


def greet_generator(message: Came) -> Iterator[Greeted]:
    yield Greeted(message.who)


async def greet_async_generator(message: Came) -> AsyncIterator[Greeted]:
    yield Greeted(message.who)


@pytest.mark.parametrize("component", [greet_async, greet_generator, greet_async_generator])
async def test_what_every_kind_of_component_gives_back_on_activation_is_kept(component: Callable[..., Any]) -> None:
    # MO-18
    heard = Listener()
    await Bus([Spawn(Came, lambda _: component), heard])(Came("x"))
    assert heard.messages == [Came("x"), Greeted("x")]


async def test_nothing_is_spawned_when_build_gives_none_and_nothing_activated_that_does_not_accept() -> None:
    # MO-18
    given: list[Message] = []

    def asked(message: Asked) -> None:
        given.append(message)

    bus = Bus([Spawn(Came, lambda came: asked if came.who else None)])
    await bus(Came(""))
    assert len(bus.components) == 1
    await bus(Came("x"))
    await bus(Asked())
    assert given == [Asked()]


async def test_a_component_that_fails_is_not_added_nor_are_those_after_it() -> None:
    # MO-18
    def boom(message: Came | Asked) -> None:
        raise ValueError("boom")

    heard, first, last = Listener(), Guest("first"), Guest("last")
    bus = Bus([Spawn(Came, lambda _: [first, boom, last]), heard])
    with pytest.raises(TurnFailed) as info:
        await bus(Came("x"))
    assert [type(error) for error in info.value.exceptions] == [ValueError]
    assert info.value.exceptions[0].__notes__ == ["modd: raised by Spawn(Came) when given Came in bus"]
    assert [message for message in heard.messages if not isinstance(message, Failure)] == [Came("x"), Greeted("first")]
    assert bus.components[2:] == (first,)


async def test_none_is_activated_when_build_fails_or_gives_something_else() -> None:
    # MO-18 MO-13
    heard = Listener()

    def build(came: Came) -> Any:
        if came.who == "error":
            raise ValueError("no")
        return [heard, Guest]

    bus = Bus([Spawn(Came, build)])
    with pytest.raises(TurnFailed) as info:
        await bus(Came("class"))
    assert isinstance(info.value.exceptions[0], NotAComponent)
    assert "Guest()?" in str(info.value.exceptions[0])
    with pytest.raises(TurnFailed) as info:
        await bus(Came("error"))
    assert isinstance(info.value.exceptions[0], ValueError)
    assert heard.messages == []
    assert len(bus.components) == 1


async def test_a_cancelled_activation_adds_nothing_and_leaves_the_bus_usable() -> None:
    # MO-18
    started = anyio.Event()

    async def slow(message: Came) -> None:
        started.set()
        await anyio.sleep_forever()

    bus = Bus([Spawn(Came, lambda came: slow if came.who == "slow" else Guest(came.who))])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus, Came("slow"))
        await started.wait()
        tasks.cancel_scope.cancel()
    assert len(bus.components) == 1
    await bus(Came("quick"))
    assert len(bus.components) == 2


def tenant(inside: Listener, *more: Callable[..., Any]) -> Bus:
    def welcome(message: Came) -> Greeted:
        return Greeted(message.who)

    return Bus([welcome, inside, *more], name="tenant", inbound=[Came, Greeted], outbound=[Greeted])


@pytest.mark.parametrize("wrap", [lambda part: part, Filter])
async def test_a_spawned_bus_does_not_get_back_what_it_let_out(wrap: Callable[[Any], Any]) -> None:
    # MO-18 MO-6
    inside, outside = Listener(), Listener()
    await Bus([wrap(Spawn(Came, lambda _: tenant(inside))), outside])(Came("x"))
    assert inside.messages == [Came("x"), Greeted("x")]
    assert outside.messages == [Came("x"), Greeted("x")]


async def test_what_left_a_spawned_bus_is_kept_when_its_turn_fails() -> None:
    # MO-18 MO-17
    def boom(message: Came) -> None:
        raise ValueError("boom")

    outside = Listener()
    bus = Bus([Spawn(Came, lambda _: tenant(Listener(), boom)), outside], outbound=[Greeted])
    with pytest.raises(TurnFailed) as info:
        await bus(Came("x"))
    assert info.value.outbound == (Greeted("x"),)
    assert outside.messages[:2] == [Came("x"), Greeted("x")]
    assert len(bus.components) == 2


async def test_what_another_bus_let_out_in_a_failed_turn_is_not_taken_for_the_components() -> None:
    # MO-18 MO-17
    def boom(message: Came) -> None:
        raise ValueError("boom")

    other = tenant(Listener(), boom)
    heard = Listener()

    async def ask_other(message: Came) -> None:
        await other(message)

    with pytest.raises(TurnFailed):
        await Bus([Spawn(Came, lambda _: ask_other), heard])(Came("x"))
    assert [type(message) for message in heard.messages] == [Came, Failure]


async def test_overlapping_turns_do_not_mix_up_what_they_spawn() -> None:
    # MO-18 MO-6
    doors: dict[str, anyio.Event] = {"a": anyio.Event(), "b": anyio.Event()}
    waiting: dict[str, anyio.Event] = {"a": anyio.Event(), "b": anyio.Event()}
    insides: dict[str, Listener] = {"a": Listener(), "b": Listener()}

    def room(came: Came) -> Bus:
        async def wait(message: Came) -> None:
            waiting[message.who].set()
            await doors[message.who].wait()

        return tenant(insides[came.who], wait)

    bus = Bus([Filter(Spawn(Came, room), where=lambda came: True)], exclusive=False)
    async with anyio.create_task_group() as tasks:
        for who in ("a", "b"):
            tasks.start_soon(bus, Came(who))
            await waiting[who].wait()
        doors["a"].set()
        doors["b"].set()
    assert insides["a"].messages.count(Greeted("a")) == 1
    assert insides["b"].messages.count(Greeted("b")) == 1


async def test_options_that_cannot_work_fail_when_it_is_made() -> None:
    # MO-18 MO-13
    assert Spawn([Came, Asked], Guest).name == "Spawn(Came, Asked)"
    with pytest.raises(InvalidOption, match="on="):
        Spawn("Came", Guest)  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidOption, match=r"name at least 1 message type$"):
        Spawn([], Guest)
    with pytest.raises(InvalidOption, match="build=3: give a function"):
        Spawn(Came, 3)  # type: ignore[arg-type]  # pyright: ignore
