"""RateLimit refuses dispatches beyond a number in a time."""

from __future__ import annotations

from math import nan
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from modd import InvalidOption
from modd.cqrs import Actor, Command, CommandBus, Envelope, NoHandler, Query, QueryBus, RateLimited, Tenant
from modd.middleware.rate_limit import RateLimit
from modd.testing import run_virtual
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Work(Command[str]):
    key: str = ""


class Export(Work):
    pass


class Missing(Command[None]):
    pass


class Find(Query[str]):
    pass


async def work(command: Work) -> str:
    return "done"


def by_key(envelope: Envelope[Any]) -> str:
    return str(envelope.message.key)


def bus_of(*limits: RateLimit, handler: Any = work, name: str = "commands") -> CommandBus:
    return CommandBus({Work: handler, Export: handler}, middleware=limits, name=name)


async def passes(bus: CommandBus, intent: Work | None = None, *stamps: Any) -> bool:
    try:
        return await bus.ask(intent or Work(), *stamps) == "done"
    except RateLimited:
        return False


async def test_so_many_pass_in_a_time_and_more_when_it_is_over() -> None:
    bus = bus_of(RateLimit(2, per=10))
    assert [await passes(bus) for _ in range(3)] == [True, True, False]
    await anyio.sleep(9.9)
    assert not await passes(bus)
    await anyio.sleep(0.1)
    assert [await passes(bus) for _ in range(3)] == [True, True, False]


async def test_the_window_slides() -> None:
    bus = bus_of(RateLimit(2, per=10))
    assert await passes(bus)
    await anyio.sleep(8)
    assert await passes(bus)
    await anyio.sleep(3)
    assert [await passes(bus) for _ in range(2)] == [True, False], "the first one is out, the second is not"


async def test_the_error_says_when_to_try_again_and_that_is_true() -> None:
    bus = bus_of(RateLimit(1, per=0.7))
    for pause in (0.1, 0.23, 0.3):
        await anyio.sleep(pause)
        assert await passes(bus)
        await anyio.sleep(pause)
        with pytest.raises(RateLimited) as caught:
            await bus.ask(Work())
        assert caught.value.intent is Work
        assert caught.value.retry_after == pytest.approx(0.7 - pause)
        await anyio.sleep(caught.value.retry_after)


@pytest.mark.unmeasured
@given(
    st.integers(1, 4),
    st.floats(0.5, 10),
    st.lists(st.floats(0, 5), max_size=30),
    st.sampled_from(["asyncio", "trio"]),
)
def test_there_are_never_more_in_any_stretch_of_time(rate: int, per: float, pauses: list[float], backend: str) -> None:
    async def run() -> list[float]:
        bus, times = bus_of(RateLimit(rate, per=per)), []
        for pause in pauses:
            await anyio.sleep(pause)
            if await passes(bus):
                times.append(anyio.current_time())
        return times

    times = run_virtual(run, backend=backend)
    assert bool(times) is bool(pauses)
    for first, beyond in zip(times, times[rate:], strict=False):
        assert beyond - first >= per - 1e-6


async def test_what_is_refused_does_not_count_and_what_fails_does() -> None:
    async def fails(command: Work) -> str:
        raise OSError

    bus = bus_of(RateLimit(1, per=10), handler=fails)
    with pytest.raises(OSError):  # noqa: PT011
        await bus.ask(Work())
    for _ in range(9):
        assert not await passes(bus)
        await anyio.sleep(1)
    await anyio.sleep(1)
    with pytest.raises(OSError):  # noqa: PT011
        await bus.ask(Work())


async def test_a_cancelled_dispatch_holds_nothing_but_its_place_in_time() -> None:
    async def hangs(command: Work) -> str:
        await anyio.sleep_forever()
        return "never"

    bus = bus_of(RateLimit(1, per=10), handler=hangs)
    for _ in range(2):
        with anyio.move_on_after(5) as scope:
            await bus.ask(Work())
        assert scope.cancelled_caught
        await anyio.sleep(5)


async def test_those_at_the_same_time_share_the_room_that_there_is() -> None:
    async def key(envelope: Envelope[Any]) -> str:
        await checkpoint()
        return "all"

    async def run() -> None:
        outcomes.append(await passes(bus))

    outcomes: list[bool] = []
    bus = bus_of(RateLimit(3, per=10, key=key))
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(run)
    assert sum(outcomes) == 3


async def test_by_default_types_actors_and_tenants_are_counted_apart() -> None:
    bus = bus_of(RateLimit(1, per=10))
    cases: list[tuple[Work, tuple[Any, ...]]] = [
        (Work(), ()),
        (Export(), ()),
        (Work(), (Actor("ada"),)),
        (Work(), (Actor("bob"),)),
        (Work(), (Actor(""),)),
        (Work(), (Actor("ada"), Tenant("a"))),
        (Work(), (Actor("ada"), Tenant("b"))),
        (Work(), (Tenant("ada"),)),
    ]
    for outcome in (True, False):
        assert [await passes(bus, intent, *stamps) for intent, stamps in cases] == [outcome] * len(cases)


async def test_a_key_of_ones_own_says_what_is_counted_together() -> None:
    bus = bus_of(RateLimit(1, per=10, key=by_key))
    assert await passes(bus, Work("a"), Actor("ada"))
    assert not await passes(bus, Export("a"), Actor("bob"))
    assert await passes(bus, Work("b"), Actor("ada"))


# MI-60
async def test_buses_that_share_it_are_counted_apart() -> None:
    limit = RateLimit(1, per=10, key=by_key)
    buses = [bus_of(limit, name=name) for name in ("a", "a:b")]
    assert [await passes(bus, Work(key)) for bus, key in zip(buses, ("b:c", "c"), strict=True)] == [True, True]
    assert [await passes(bus, Work(key)) for bus, key in zip(buses, ("b:c", "c"), strict=True)] == [False, False]


# MI-13
async def test_types_have_limits_of_their_own() -> None:
    limit = RateLimit(1, per=10, key=by_key, intents={Export: {"rate": 3}})
    bus = bus_of(limit)
    assert [await passes(bus, Work()) for _ in range(2)] == [True, False]
    assert [await passes(bus, Export()) for _ in range(4)] == [True, True, True, False]


# MI-14
async def test_it_works_on_other_buses_too() -> None:
    async def find(query: Find) -> str:
        return "found"

    bus = QueryBus([find], middleware=[RateLimit(1, per=10)])
    await bus.ask(Find())
    with pytest.raises(RateLimited, match="Find"):
        await bus.ask(Find())


async def test_keys_whose_time_is_over_are_forgotten() -> None:
    limit = RateLimit(5, per=10, key=by_key)
    bus = bus_of(limit)
    for n in range(100):
        await bus.ask(Work(str(n)))
        await anyio.sleep(1)
        assert len(limit._windows) <= 11


async def test_there_are_no_more_keys_than_it_may_know() -> None:
    limit = RateLimit(1, per=10, key=by_key, size=3)
    bus = bus_of(limit)
    for key in "abc":
        assert await passes(bus, Work(key))
    assert not await passes(bus, Work("a"))  # used, and so kept for longer than b
    assert await passes(bus, Work("d"))
    assert [await passes(bus, Work(key)) for key in "acd"] == [False] * 3
    assert await passes(bus, Work("b"))
    assert len(limit._windows) == 3


async def test_a_time_too_short_to_be_told_leaves_nothing() -> None:
    limit = RateLimit(1, per=1e-12)
    bus = bus_of(limit)
    await anyio.sleep(80_000)
    assert [await passes(bus) for _ in range(3)] == [True] * 3
    assert not limit._windows


@pytest.mark.parametrize(
    ("option", "value"),
    [("rate", 0), ("rate", 1.5), ("rate", True), ("per", 0), ("per", -1), ("per", nan), ("per", True), ("key", "a")],
)
def test_wrong_values_fail_at_once(option: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=option):
        RateLimit(**{"rate": 1, "per": 1.0} | {option: value})
    with pytest.raises(InvalidOption, match=option):
        RateLimit(1, per=1, intents={Work: {option: value}})  # type: ignore[misc]


def test_misspelt_options_and_foreign_types_fail_before_anything_is_dispatched() -> None:
    with pytest.raises(InvalidOption, match="size"):
        RateLimit(1, per=1, size=0)
    with pytest.raises(InvalidOption, match="there are: rate, per, key"):
        RateLimit(1, per=1, intents={Work: {"rates": 5}})  # type: ignore[typeddict-unknown-key]
    bus = bus_of(RateLimit(1, per=1, intents={Missing: {"rate": 1}}))
    with pytest.raises(NoHandler, match="Missing"):
        bus.check()
