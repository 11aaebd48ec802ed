"""Loops are stopped by a limit that counts real messages (MO-9)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus, InvalidOption, Message, TurnFailed, TurnOverflow
from modd.core.limits import find_cycle
from tests.core.test_inside import find
from tests.names import A, B, C, N, Start

pytestmark = pytest.mark.anyio


def ping(message: A) -> B:
    return B()


async def pong(message: B) -> A:
    return A()


@pytest.mark.parametrize("limit", [1, 2, 10, 255, 256, 511, 512, 513, 1000])
async def test_exactly_as_many_messages_as_the_limit_are_handled(limit: int) -> None:
    # MO-9
    handled = 0

    def chain(message: N) -> N:
        nonlocal handled
        handled += 1
        return N(message.n + 1)

    bus = Bus([chain], limit=limit)
    for _ in range(3):
        handled = 0
        with pytest.raises(TurnFailed) as caught:
            await bus(N(0))
        assert handled == limit
        assert isinstance(caught.value.exceptions[0], TurnOverflow)


@pytest.mark.parametrize("limit", [5, 256, 300, 512, 2000])
async def test_a_turn_of_exactly_the_limit_is_fine(limit: int) -> None:
    # MO-9
    def chain(message: N) -> Any:
        return N(message.n - 1) if message.n else None

    bus = Bus([chain], limit=limit)
    for _ in range(3):
        assert await bus(N(limit - 1)) == ()


async def test_the_error_names_the_cycle() -> None:
    # MO-9
    with pytest.raises(TurnFailed) as caught:
        await Bus([ping, pong], name="table", limit=20)(A())
    (error,) = caught.value.exceptions
    assert isinstance(error, TurnOverflow)
    assert {(given, returned) for given, _, returned in error.cycle} == {(A, B), (B, A)}
    assert "ping" in str(error) and "pong" in str(error) and "limit=20" in str(error) and "table" in str(error)


@pytest.mark.slow
async def test_a_cycle_is_named_with_the_default_limit_too() -> None:
    # MO-9
    with pytest.raises(TurnFailed) as caught:
        await Bus([ping, pong])(A())
    (error,) = caught.value.exceptions
    assert isinstance(error, TurnOverflow) and len(error.cycle) == 2


async def test_what_is_still_queued_counts_and_without_a_cycle_the_limit_is_named() -> None:
    # MO-9
    handled: list[Message] = []

    def wide(message: Start) -> Any:
        return [N(n) for n in range(1000)]

    def keep(message: N) -> None:
        handled.append(message)

    with pytest.raises(TurnFailed) as caught:
        await Bus([wide, keep], limit=600)(Start())
    (error,) = caught.value.exceptions
    assert isinstance(error, TurnOverflow) and error.cycle == ()
    assert "a wide fan-out, not a loop" in str(error) and "limit=600" in str(error)
    assert handled == []


async def test_many_receivers_count_each_message_once() -> None:
    # MO-9
    handled = 0

    def keep(message: Message) -> None:
        nonlocal handled
        handled += 1

    await Bus([keep] * 50, limit=2)(A())
    assert handled == 50


async def test_an_endless_generator_is_stopped() -> None:
    # MO-9
    def endless(message: Start) -> Any:
        while True:
            yield A()

    async def endless_too(message: Start) -> Any:
        while True:
            yield A()

    for component in (endless, endless_too):
        with pytest.raises(TurnFailed, match="1 failure"):
            await Bus([component], limit=1000)(Start())


async def test_turns_within_count_against_the_outermost() -> None:
    # MO-9
    handled = 0
    inner = Bus(name="inner")
    outer = Bus(name="outer", limit=50)

    def count(message: N) -> None:
        nonlocal handled
        handled += 1

    inner.add(count)
    outer.add(count)

    async def loop(message: Start) -> None:
        while True:
            await inner(N(1))
            await outer(N(2))

    outer.add(loop)
    for _ in range(2):
        handled = 0
        with pytest.raises(TurnFailed) as caught:
            await outer(Start())
        assert handled == 49
        assert "limit=50" in str(find(caught.value, TurnOverflow)[0])


async def test_an_overflow_ends_the_turns_around_though_a_component_catches_it() -> None:
    # MO-9
    after: list[str] = []
    inner = Bus([ping, pong], name="inner", limit=20)
    outer = Bus(name="outer")

    async def swallow(message: Start) -> C:
        with pytest.raises(TurnFailed):
            await inner(A())
        return C()

    def keep(message: C) -> None:
        after.append("went on")

    outer.add(swallow)
    outer.add(keep)
    with pytest.raises(TurnFailed) as caught:
        await outer(Start())
    assert find(caught.value, TurnOverflow)


@pytest.mark.parametrize("concurrent", [False, True])
async def test_an_overflow_is_never_a_failure_message(concurrent: bool) -> None:
    # MO-9
    seen: list[Message] = []

    def rescue(message: Message) -> None:
        seen.append(message)

    inner = Bus([ping, pong], name="inner", limit=20)
    with pytest.raises(TurnFailed) as caught:
        await Bus([inner, rescue], name="outer", concurrent=concurrent)(A())
    assert find(caught.value, TurnOverflow)
    assert set(map(type, seen)) <= {A}


async def test_earlier_failures_and_what_left_are_on_the_error_of_an_overflow() -> None:
    # MO-9
    def boom(message: Start) -> Any:
        yield A()
        raise ValueError("before")

    def give(message: Start) -> C:
        return C()

    with pytest.raises(TurnFailed) as caught:
        await Bus([boom, give, ping, pong], limit=20, outbound=[C])(Start())
    assert [type(error) for error in caught.value.exceptions] == [ValueError, TurnOverflow]
    assert caught.value.outbound == (C(),)


async def test_a_failure_that_is_still_queued_when_a_turn_overflows_is_raised_too() -> None:
    # MO-9
    def boom(message: Start) -> None:
        raise ValueError("queued")

    def wide(message: Start) -> Any:
        return [A() for _ in range(100)]

    with pytest.raises(TurnFailed) as caught:
        await Bus([boom, wide], limit=50)(Start())
    assert [type(error) for error in caught.value.exceptions] == [ValueError, TurnOverflow]


@pytest.mark.unmeasured
@pytest.mark.costly
async def test_no_limit_turns_it_off() -> None:
    # MO-9
    def chain(message: N) -> Any:
        return N(message.n - 1) if message.n else None

    assert await Bus([chain], limit=None)(N(150_000)) == ()


async def test_a_loop_across_two_contexts_is_named() -> None:
    # MO-9
    left = Bus([ping], name="left", outbound=[B])
    right = Bus([pong], name="right", outbound=[A])
    with pytest.raises(TurnFailed) as caught:
        await Bus([left, right], name="outer", limit=300)(A())
    (error,) = find(caught.value, TurnOverflow)
    assert {(given, returned) for given, _, returned in error.cycle} == {(A, B), (B, A)}


@pytest.mark.parametrize("wrong", [0, -1, "many", 1.5, True])
def test_a_limit_is_a_positive_number_or_none(wrong: Any) -> None:
    # MO-13
    with pytest.raises(InvalidOption, match="limit"):
        Bus(limit=wrong)


def test_a_cycle_is_found_behind_dead_ends() -> None:
    # MO-9
    edges = [(A, "a", B), (B, "b", C), (A, "a", N), (N, "n", Start), (Start, "s", N)]
    assert find_cycle(edges) == ((N, "n", Start), (Start, "s", N))
    assert find_cycle(edges[:4]) == ()
    assert find_cycle([(A, "a", A)]) == ((A, "a", A),)
    assert find_cycle([(A, "a", B), (A, "a", C), (B, "b", C)]) == ()


async def test_small_and_plain_buses_within_one_turn_do_not_disturb_its_count() -> None:
    # MO-9
    small = Bus([lambda message: None], name="small", limit=10)

    async def idle(message: Start) -> None:
        return None

    quick = Bus([idle])

    async def go(message: N) -> Any:
        await small(A())
        await quick(Start())
        return N(message.n - 1) if message.n else None

    assert await Bus([go], name="root", limit=4_000)(N(1_000)) == ()
    with pytest.raises(TurnFailed):
        await Bus([go], name="root", limit=3_000)(N(1_000))


async def test_a_list_after_a_chain_counts_what_is_in_it() -> None:
    # MO-9
    def chain(message: N) -> Any:
        return N(message.n - 1) if message.n else [A() for _ in range(250)]

    bus = Bus([chain, lambda message: None], limit=512)
    for _ in range(5):
        assert await bus(N(200)) == ()


async def test_the_limit_of_a_turn_in_the_middle_holds() -> None:
    # MO-9
    async def leaf(message: A) -> None:
        await anyio.lowlevel.checkpoint()

    inner = Bus([leaf], name="inner")

    async def loop(message: N) -> Any:
        await inner(A())
        return N(message.n - 1) if message.n else None

    middle = Bus([loop], name="middle", limit=10)
    with pytest.raises(TurnFailed) as caught:
        await Bus([middle], name="root")(N(50))
    assert "middle: more than 10" in str(find(caught.value, TurnOverflow)[0])


async def test_turns_that_have_ended_do_not_count_as_depth() -> None:
    # MO-9
    ticks = 0
    bus = Bus(exclusive=False)
    async with anyio.create_task_group() as tasks:

        async def tick(message: N) -> None:
            nonlocal ticks
            ticks += 1
            if message.n:
                tasks.start_soon(bus, N(message.n - 1))
            for _ in range(4):
                await anyio.lowlevel.checkpoint()

        bus.add(tick)
        await bus(N(300))
    assert ticks == 301


async def test_two_overflows_side_by_side_are_told_as_one() -> None:
    # MO-9
    left, right = (Bus([ping, pong], name=name, limit=20) for name in ("left", "right"))
    with pytest.raises(TurnFailed) as caught:
        await Bus([left, right], name="outer", concurrent=True)(A())
    (error,) = caught.value.exceptions
    assert isinstance(error, TurnFailed)
