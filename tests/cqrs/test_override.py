"""Replacing handlers in a test."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus
from modd.cqrs import CommandBus, Emit, EventBus, InvalidHandler, NoHandler, QueryBus
from modd.parts import Filter
from tests.cqrs.shop import Charge, Create, Created, CreatedByAdmin, Find, Get, Noting

pytestmark = pytest.mark.anyio


class Clock:
    now = 3


def real(query: Get) -> str:
    return "real"


def create(message: Create) -> int:
    return 1


def fake(*args: Any, **more: Any) -> str:
    return "fake"


async def test_a_fake_stands_in_within_the_middleware_for_as_long_as_the_block_lasts() -> None:
    # MI-1
    log: list[str] = []
    bus = QueryBus([real], middleware=[Noting("a", log)])
    assert await bus.ask(Get()) == "real"
    with bus.override({Get: fake}):
        assert await bus.ask(Get()) == "fake"
    assert await bus.ask(Get()) == "real" and log == ["a in", "a out"] * 3
    with pytest.raises(ValueError, match="boom"), bus.override({Get: fake}):
        raise ValueError("boom")
    assert await bus.ask(Get()) == "real"


async def test_a_fake_takes_what_a_handler_takes_and_stands_for_all_handlers() -> None:
    # MI-1
    def timed(message: Create, clock: Clock, emit: Emit) -> int:
        emit(Created())
        return clock.now

    bus = CommandBus([create, create], multiple=True, resources={Clock: Clock()})
    with bus.override({Create: timed}):
        dispatched = await bus.dispatch(Create())
    assert dispatched.results == (3,) and dispatched.events == (Created(),)
    assert (await bus.dispatch(Create())).results == (1, 1)


async def test_one_within_another() -> None:
    # MI-1
    bus = QueryBus([real, lambda_find])
    with bus.override({Get: fake}):
        with bus.override({Find: lambda query: ["fake"]}):
            assert [await bus.ask(Get()), await bus.ask(Find())] == ["fake", ["fake"]]
            with bus.override({Get: lambda query: "inner"}):
                assert await bus.ask(Get()) == "inner"
        assert [await bus.ask(Get()), await bus.ask(Find())] == ["fake", ["real"]]
    assert await bus.ask(Get()) == "real"


def lambda_find(query: Find) -> list[str]:
    return ["real"]


async def test_two_blocks_that_end_in_the_order_in_which_they_began() -> None:
    # MI-1
    bus = QueryBus([real, lambda_find])
    one, other = bus.override({Get: fake}), bus.override({Find: lambda query: ["fake"]})
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert [await bus.ask(Get()), await bus.ask(Find())] == ["real", ["fake"]]
    other.__exit__(None, None, None)
    assert [await bus.ask(Get()), await bus.ask(Find())] == ["real", ["real"]]


async def test_in_a_composed_bus_every_typed_bus_inside_is_reached() -> None:
    # MI-1
    queries = QueryBus([real])
    bus = Bus([Bus([Filter(queries)]), Bus([CommandBus([create, charge])], inbound=[Create]), EventBus()], name="shop")
    with bus.override({Get: fake, Create: lambda message: 7, Charge: lambda message: "fake"}):
        assert [await bus.ask(Get()), await bus.ask(Create())] == ["fake", 7]
        assert await queries.ask(Get()) == "fake"
    assert [await bus.ask(Get()), await bus.ask(Create())] == ["real", 1]


def charge(message: Charge) -> str:
    return "paid"


async def test_a_handler_that_asks_gets_the_fake() -> None:
    # MI-1 MO-27
    async def handle(message: Create) -> int:
        return len(await bus.ask(Get()))

    bus = Bus([QueryBus([real]), CommandBus([handle])], exclusive=False)
    with bus.override({Get: lambda query: "a long fake"}):
        assert await bus.ask(Create()) == 11
    assert await bus.ask(Create()) == 4


async def test_events_of_a_base_class_have_its_fake() -> None:
    # MI-1
    heard: list[str] = []
    bus = EventBus({Created: lambda event: heard.append("real")})
    with bus.override({Created: lambda event: heard.append("fake")}):
        await bus.dispatch(CreatedByAdmin())
    assert heard == ["fake"]


def test_a_type_that_nobody_handles_or_a_fake_that_cannot_be_called_is_refused() -> None:
    # MI-1
    bus = QueryBus([real], name="q")
    with pytest.raises(NoHandler, match="no handler for Find; q handles: Get"), bus.override({Find: fake}):
        pass
    with pytest.raises(InvalidHandler), bus.override({Get: 3}):
        pass
    outer = Bus([bus, CommandBus([create])], name="shop")
    with pytest.raises(NoHandler, match="shop handles: Create, Get"), outer.override({Find: fake}):
        pass
    with pytest.raises(InvalidHandler), outer.override({Get: fake, Create: 3}):
        pass
    assert anyio.run(bus.ask, Get()) == "real"
