"""Opening a bus enters what is inside (MO-16)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import AlreadyOpen, Bus, Message, Part
from tests.names import A

pytestmark = pytest.mark.anyio


class Holds:
    """A component that holds something."""

    def __init__(self, name: str, log: list[str], fail: str = "") -> None:
        self.name, self.log, self.fail = name, log, fail

    def __call__(self, message: A) -> None:
        self.log.append(f"{self.name} got it")

    async def __aenter__(self) -> Any:
        await checkpoint()
        if self.fail == "enter":
            raise ValueError(self.name)
        self.log.append(f"+{self.name}")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.log.append(f"-{self.name}")
        if self.fail == "exit":
            raise ValueError(self.name)


async def test_everything_inside_is_entered_in_order_and_left_in_reverse() -> None:
    # MO-16
    log: list[str] = []
    shared = Holds("shared", log)
    inner = Bus([Holds("inner", log), shared], name="inner")
    bus = Bus([Holds("a", log), Part(inner), shared, Part(Holds("z", log)), lambda message: None])
    async with bus as opened:
        assert opened is bus
        await bus(A())
    entered, left = ["+a", "+inner", "+shared", "+z"], ["-z", "-shared", "-inner", "-a"]
    assert log == [*entered, "a got it", "inner got it", *["shared got it"] * 2, "z got it", *left]
    async with bus:
        pass
    assert log[13:] == [*log[:4], *log[9:13]]


async def test_what_was_entered_is_left_when_another_cannot_be_entered() -> None:
    # MO-13
    log: list[str] = []
    bus = Bus([Holds("a", log), Holds("b", log, fail="enter")])
    with pytest.raises(ValueError, match="b"):
        await bus.__aenter__()
    assert log == ["+a", "-a"]
    with pytest.raises(ValueError, match="b"):
        await bus.__aenter__()


async def test_an_error_on_leaving_is_raised_and_the_others_are_left() -> None:
    log: list[str] = []
    bus = Bus([Holds("a", log), Holds("b", log, fail="exit")])
    with pytest.raises(ValueError, match="b"):
        async with bus:
            pass
    assert log == ["+a", "+b", "-b", "-a"]


async def test_a_bus_is_opened_once_at_a_time_here_or_around() -> None:
    # MO-13
    inner = Bus(name="inner")
    outer = Bus([inner], name="outer")
    async with outer:
        for bus in (outer, inner):
            with pytest.raises(AlreadyOpen, match=bus.name):
                await bus.__aenter__()
        await outer(A())
    async with inner:
        with pytest.raises(AlreadyOpen, match="inner"):
            await outer.__aenter__()
    async with outer:
        pass


async def test_opening_may_be_cancelled() -> None:
    # MO-13
    log: list[str] = []

    class Slow(Holds):
        async def __aenter__(self) -> Any:
            await anyio.sleep_forever()

    bus = Bus([Holds("a", log), Slow("slow", log)])
    with anyio.move_on_after(0):
        await bus.__aenter__()
    assert log in (["+a", "-a"], [])


async def test_a_bus_that_holds_nothing_needs_no_opening() -> None:
    seen: list[Message] = []
    await Bus([lambda message: seen.append(message)])(A())
    assert seen == [A()]
