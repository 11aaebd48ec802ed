"""Opening typed buses: what middleware hold, and work in the background."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import AlreadyOpen, Bus, TurnFailed
from modd.cqrs import CommandBus, Envelope, Next, NotOpen
from tests.cqrs.shop import Create, Rename

pytestmark = pytest.mark.anyio


class Holding:
    """A middleware that holds something."""

    background_work = ""

    def __init__(self, name: str, log: list[str], fail: str = "") -> None:
        self.name, self.log, self.fail = name, log, fail

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)

    async def __aenter__(self) -> Holding:
        await anyio.lowlevel.checkpoint()
        if self.fail == "enter":
            raise OSError(self.name)
        self.log.append(f"+{self.name}")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.log.append(f"-{self.name}")
        if self.fail == "exit":
            raise OSError(self.name)


class Working:
    """A middleware with work for the background."""

    background_work = "noting"

    def __init__(self) -> None:
        self.done: list[str] = []
        self.go = anyio.Event()

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        envelope.bus.start(self.note, envelope.bus.name)

    async def note(self, name: str) -> None:
        await self.go.wait()
        self.done.append(name)


def create(message: Create) -> int:
    return 1


def failing(message: Rename) -> None:
    raise ValueError("boom")


async def test_middleware_that_hold_something_are_entered_and_left_in_reverse() -> None:
    # MI-1
    log: list[str] = []
    bus = CommandBus([create], middleware=[Holding("a", log), Holding("b", log)])
    for _ in range(2):
        async with bus as opened:
            assert opened is bus and log[-2:] == ["+a", "+b"]
            assert await bus.ask(Create()) == 1
        assert log[-2:] == ["-b", "-a"]
    assert len(log) == 8


async def test_what_was_entered_is_left_when_another_cannot_be_entered() -> None:
    # MI-1
    log: list[str] = []
    bus = CommandBus([create], middleware=[Holding("a", log), Holding("b", log, "enter")])
    for _ in range(2):
        with pytest.raises(OSError, match="b"):
            await bus.__aenter__()
    assert log == ["+a", "-a"] * 2


async def test_a_bus_is_opened_once_at_a_time() -> None:
    # MO-13
    bus = CommandBus([create])
    async with bus:
        with pytest.raises(AlreadyOpen):
            await bus.__aenter__()
        with pytest.raises(AlreadyOpen):
            await Bus([bus]).__aenter__()
    async with Bus([bus]):
        with pytest.raises(AlreadyOpen):
            await bus.__aenter__()


async def test_two_that_open_it_at_the_same_time_do_not_both_succeed() -> None:
    # MO-13
    log: list[str] = []
    bus = CommandBus([create], middleware=[Holding("a", log)])
    refused: list[AlreadyOpen] = []
    close = anyio.Event()

    async def use() -> None:
        try:
            async with bus:
                await close.wait()
        except AlreadyOpen as error:
            refused.append(error)
            close.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use)
            tasks.start_soon(use)
    assert len(refused) == 1 and log == ["+a", "-a"]


async def test_without_work_for_the_background_no_opening_is_needed() -> None:
    # MI-27
    assert await CommandBus([create], middleware=[Holding("a", [])]).ask(Create()) == 1


async def test_a_bus_with_work_for_the_background_says_how_to_open_it() -> None:
    # MI-27
    working = Working()
    bus = CommandBus([create], middleware=[working], name="shop")
    told = r"shop has work for the background \(noting\) and is not open; dispatch inside `async with shop:`"
    with pytest.raises(NotOpen, match=told) as info:
        await bus.dispatch(Create())
    assert isinstance(info.value, RuntimeError) and info.value.because == ("noting",)
    with pytest.raises(NotOpen):
        bus.start(working.note, "x")
    outer = Bus([bus])
    with pytest.raises(NotOpen):
        await outer.ask(Create())
    with pytest.raises(TurnFailed):
        await outer(Create())
    working.go.set()
    async with bus:
        assert await bus.ask(Create()) == 1
    async with outer:
        assert await outer.ask(Create()) == 1
    assert working.done == ["shop", "shop"]
    with pytest.raises(NotOpen):
        await bus.dispatch(Create())


async def test_one_middleware_may_be_in_several_buses() -> None:
    # MI-60
    working = Working()
    working.go.set()
    one, other = (CommandBus([create], middleware=[working], name=name) for name in ("one", "other"))
    async with Bus([Bus([one]), Bus([other])]):
        await one.dispatch(Create())
        await other.dispatch(Create())
    assert sorted(working.done) == ["one", "other"]


@pytest.mark.parametrize("make", [lambda bus: bus, lambda bus: Bus([bus])], ids=["alone", "inside"])
async def test_an_error_inside_the_block_comes_out_as_it_is_and_work_is_waited_for(make: Any) -> None:
    # MI-27
    working, log = Working(), list[str]()
    bus = CommandBus([create, failing], middleware=[Holding("a", log), working])

    async def use() -> None:
        async with make(bus):
            await bus.dispatch(Create())
            working.go.set()
            await bus.dispatch(Rename())

    with pytest.raises(ValueError, match="boom"):
        await use()
    assert log == ["+a", "-a"] and working.done == ["commands"]


async def test_a_cancelled_block_cancels_the_work_and_leaves_all() -> None:
    # MI-27 MO-3
    working, log = Working(), list[str]()
    bus = CommandBus([create], middleware=[Holding("a", log), working])
    with anyio.fail_after(60):
        with anyio.CancelScope() as scope:
            async with bus:
                await bus.dispatch(Create())
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught and log == ["+a", "-a"] and working.done == []
        working.go.set()
        async with bus:
            await bus.dispatch(Create())
    assert working.done == ["commands"]


async def test_an_error_on_leaving_is_raised_and_the_others_are_left() -> None:
    # MI-1
    log: list[str] = []
    with pytest.raises(OSError, match="b"):
        async with CommandBus([create], middleware=[Holding("a", log), Holding("b", log, "exit")]):
            pass
    assert log == ["+a", "+b", "-b", "-a"]


async def test_a_cancelled_opening_leaves_what_was_entered_and_it_can_be_opened_again() -> None:
    # MO-3
    log: list[str] = []

    class Slow(Holding):
        async def __aenter__(self) -> Holding:
            scope.cancel()
            return await super().__aenter__()

    bus = CommandBus([create], middleware=[Holding("a", log), Slow("b", log)])
    with anyio.CancelScope() as scope:
        async with bus:
            raise AssertionError("it must not be open")
    assert log == ["+a", "-a"]
    scope = anyio.CancelScope()
    async with bus:
        pass
    assert log == ["+a", "-a", "+a", "+b", "-b", "-a"]
