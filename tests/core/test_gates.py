"""Turns of one bus do not overlap, unless they may (MO-8), and fan-out (MO-25)."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, InvalidOption, Message, NotAMessage, TurnFailed, TurnOverflow
from modd.cqrs import Command, CommandBus, EventBus, QueryBus
from modd.parts import Filter
from tests.names import A, N, Start, failures_of

pytestmark = pytest.mark.anyio


class Overlap:
    """A component that knows how many turns were in it at once."""

    def __init__(self, rounds: int = 3) -> None:
        self.rounds, self.inside, self.most = rounds, 0, 0
        self.order: list[int] = []

    async def __call__(self, message: N) -> None:
        self.order.append(message.n)
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(self.rounds):
            await checkpoint()
        self.inside -= 1


async def send_all(bus: Bus, messages: list[Any]) -> None:
    async with anyio.create_task_group() as tasks:
        for message in messages:
            tasks.start_soon(bus, message)


async def test_a_key_function_gets_messages_alone() -> None:
    # MO-8
    not_a_message: Any = "text"
    bus = Bus([Overlap()], exclusive=lambda message: message.n)
    with pytest.raises(NotAMessage):
        await bus(not_a_message)


async def test_a_gate_is_let_go_of_with_the_last_turn_of_its_key() -> None:
    # MO-8
    bus = Bus([Overlap()], exclusive=lambda message: message.n)
    await send_all(bus, [N(1), N(1), N(2)])
    assert bus.keyed_gates is not None
    assert len(bus.keyed_gates) == 0


async def test_turns_of_an_exclusive_bus_do_not_overlap_and_senders_wait_in_line() -> None:
    # MO-8
    part, order = Overlap(), list[int]()
    bus = Bus([part])

    async def send(n: int, begin: anyio.Event, begun: anyio.Event) -> None:
        await begin.wait()
        begun.set()
        await bus(N(n))
        order.append(n)

    events = [anyio.Event() for _ in range(6)]
    async with anyio.create_task_group() as tasks:
        for n in range(5):
            tasks.start_soon(send, n, events[n], events[n + 1])
        events[0].set()
    assert part.most == 1
    assert part.order == [0, 1, 2, 3, 4] == order


@pytest.mark.costly
async def test_a_thousand_tasks_send_at_once_and_each_gets_its_own_turn() -> None:
    # MO-8
    part = Overlap(rounds=1)
    await send_all(Bus([part]), [N(n) for n in range(1000)])
    assert part.most == 1
    assert sorted(part.order) == list(range(1000))


async def test_overlapping_turns_run_side_by_side() -> None:
    part = Overlap()
    await send_all(Bus([part], exclusive=False), [N(n) for n in range(10)])
    assert part.most == 10


async def test_messages_of_overlapping_turns_do_not_mix() -> None:
    # MO-8
    async def step(message: N) -> Any:
        await checkpoint()
        return [N(message.n + 1), A()] if message.n % 10 < 3 else None

    bus = Bus([step], exclusive=False, outbound=[N])
    results: dict[int, tuple[Message, ...]] = {}

    async def send(n: int) -> None:
        results[n] = await bus(N(n))

    async with anyio.create_task_group() as tasks:
        for n in (0, 10, 20):
            tasks.start_soon(send, n)
    assert results == {n: (N(n + 1), N(n + 2), N(n + 3)) for n in (0, 10, 20)}


async def test_a_key_keeps_its_turns_apart_and_lets_the_others_overlap() -> None:
    parts = {0: Overlap(), 1: Overlap()}
    both = Overlap()

    async def route(message: N) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(parts[message.n % 2], message)
            tasks.start_soon(both, message)

    await send_all(Bus([route], exclusive=lambda message: message.n % 2), [N(n) for n in range(8)])
    assert parts[0].most == parts[1].most == 1
    assert both.most == 2


async def test_a_key_of_none_overlaps_with_everything() -> None:
    part = Overlap()
    await send_all(Bus([part], exclusive=lambda message: None), [N(n) for n in range(5)])
    assert part.most == 5


async def test_a_key_function_that_raises_is_the_error_of_the_sender() -> None:
    # MO-8
    part = Overlap()

    def key(message: N) -> int:
        return 1 // message.n

    bus = Bus([part], exclusive=key)
    with pytest.raises(ZeroDivisionError):
        await bus(N(0))
    await bus(N(1))
    assert part.order == [1]


async def test_a_key_that_is_unhashable_is_the_error_of_the_sender() -> None:
    with pytest.raises(InvalidOption, match="home: its key for A cannot be hashed"):
        await Bus(name="home", exclusive=lambda message: [message])(A())


async def some_key(message: Message) -> int:
    return 1


class AwaitedKey:
    async def __call__(self, message: Message) -> int:
        return 1


@pytest.mark.parametrize("wrong", ["yes", 1, 0, some_key, AwaitedKey()])
def test_exclusive_takes_a_boolean_or_a_plain_function(wrong: Any) -> None:
    # MO-13
    with pytest.raises(InvalidOption, match="exclusive"):
        Bus(exclusive=wrong)


@pytest.mark.parametrize("exclusive", [True, False, lambda message: None, lambda message: 1])
async def test_a_loop_of_short_turns_lets_others_run(exclusive: Any) -> None:
    # MO-1
    others, seen = 0, list[int]()
    bus = Bus([lambda message: None], exclusive=exclusive)
    stop = False

    async def other() -> None:
        nonlocal others
        while not stop:
            others += 1
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        for n in range(2_000):
            await bus(N(n))
            seen.append(others)
        stop = True
    assert others >= 5
    assert all(seen[n + 513] > seen[n] for n in range(len(seen) - 513))


async def test_a_long_turn_lets_others_run_every_256_messages() -> None:
    # MO-1
    beats, stop = 0, False
    seen: list[int] = []

    def chain(message: N) -> Any:
        seen.append(beats)
        return N(message.n - 1) if message.n else None

    async def other() -> None:
        nonlocal beats
        while not stop:
            beats += 1
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await checkpoint()
        await Bus([chain])(N(3_000))
        stop = True
    assert all(seen[n + 513] > seen[n] for n in range(len(seen) - 513))


async def test_a_wide_answer_lets_others_run_too() -> None:
    beats, stop = 0, False

    def wide(message: Start) -> Any:
        yield from map(N, range(5_000))

    async def other() -> None:
        nonlocal beats
        while not stop:
            beats += 1
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await Bus([wide, lambda message: None])(Start())
        stop = True
    assert beats >= 2 * 5_000 // 256 - 2


async def test_concurrent_fan_out_runs_side_by_side_and_keeps_component_order() -> None:
    # MO-25
    seen: list[int] = []
    first, second = anyio.Event(), anyio.Event()

    async def one(message: Start) -> N:
        await first.wait()
        second.set()
        return N(1)

    async def two(message: Start) -> list[N]:
        first.set()
        await second.wait()
        return [N(2), N(3)]

    def keep(message: N) -> None:
        seen.append(message.n)

    await Bus([one, two, keep], concurrent=True)(Start())
    assert seen == [1, 2, 3]


async def test_concurrent_fan_out_keeps_failures_apart() -> None:
    # MO-25
    seen: list[int] = []

    async def fail(message: Start) -> None:
        await checkpoint()
        raise ValueError("one")

    def fail_too(message: Start) -> None:
        raise KeyError("two")

    async def good(message: Start) -> N:
        await checkpoint()
        return N(1)

    def keep(message: N) -> None:
        seen.append(message.n)

    with pytest.raises(TurnFailed) as caught:
        await Bus([fail, fail_too, good, keep], concurrent=True)(Start())
    assert seen == [1]
    assert failures_of(caught.value) == ["ValueError('one')", "KeyError('two')"]


async def test_a_loop_of_one_message_for_one_is_caught_with_concurrent_fan_out_too() -> None:
    # MO-25
    def again(message: A) -> A:
        return message

    async def nothing(message: A) -> None:
        await checkpoint()

    with pytest.raises(TurnFailed) as caught:
        await Bus([again, nothing], concurrent=True, limit=50)(A())
    (error,) = caught.value.exceptions
    assert isinstance(error, TurnOverflow) and error.cycle


class Started:
    """A coroutine that has taken its first step in a task of its own, as an eager task has when it is made."""

    def __init__(self, coroutine: Any) -> None:
        self.coroutine, context = coroutine, contextvars.copy_context()
        loop, starter = asyncio.get_running_loop(), asyncio.current_task()
        assert starter is not None
        self.task = loop.create_task(self.rest(), context=context)
        asyncio.tasks._leave_task(loop, starter)
        asyncio.tasks._enter_task(loop, self.task)
        try:
            self.first = context.run(coroutine.send, None)
        finally:
            asyncio.tasks._leave_task(loop, self.task)
            asyncio.tasks._enter_task(loop, starter)

    def __await__(self) -> Any:
        yield self.first
        return (yield from self.coroutine.__await__())

    async def rest(self) -> Any:
        return await self


def start_eagerly(coroutine: Any) -> asyncio.Task[Any]:
    """Start an eager task; before Python 3.12, a task that does the same."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)
    return Started(coroutine).task


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_eager_tasks_started_by_a_plain_function_do_not_overlap_with_its_turn() -> None:
    # MO-8, DF-25
    part = Overlap()
    started: list[asyncio.Task[Any]] = []
    bus = Bus()

    def starts(message: Start) -> None:
        if warm:  # the first message of a type is looked at before, and the turn made for that
            started.append(start_eagerly(bus(N(1))))

    async def waits(message: Start) -> None:
        await part(N(0))

    for component in (starts, waits, part):
        bus.add(component)
    warm = False
    await bus(Start())
    await bus(N(3))
    warm = True
    await bus(Start())
    await asyncio.gather(bus(Start()), bus(N(2)))
    await asyncio.gather(*started)
    assert part.most == 1 and len(started) == 2
    assert await bus(A()) == ()


@pytest.mark.slow
def test_buses_that_share_what_is_inside_are_made_quickly_and_looked_through_once() -> None:
    bus = Bus(name="leaf")
    for n in range(15):
        bus = Bus([bus, bus], name=f"level{n}")
    assert bus.find("leaf") is not bus


class Take(Command[None]):
    n: int


class Most:
    """A handler that knows how many turns were in it at once; the first ones wait for each other."""

    def __init__(self) -> None:
        self.inside = self.most = 0

    async def __call__(self, command: Take) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(3):
            await checkpoint()
        self.inside -= 1


def heard(message: Message) -> None:
    pass


DERIVED: dict[str, tuple[Any, bool]] = {
    "typed buses": (lambda typed: Bus([typed, QueryBus(), EventBus()]), True),
    "a bus of typed buses": (lambda typed: Bus([Bus([typed]), EventBus()]), True),
    "a bus that overlaps": (lambda typed: Bus([Bus([typed, heard], exclusive=False)]), True),
    "a bus with a key": (lambda typed: Bus([Bus([typed, heard], exclusive=lambda take: take.n)]), True),
    "another component": (lambda typed: Bus([typed, heard]), False),
    "a part around a typed bus": (lambda typed: Bus([Filter(typed)]), False),
    "another component in a bus inside": (lambda typed: Bus([Bus([typed, heard])]), False),
    "an exclusive bus inside": (lambda typed: Bus([Bus([typed], exclusive=True)]), False),
    "explicitly exclusive": (lambda typed: Bus([typed], exclusive=True), False),
    "explicitly not exclusive": (lambda typed: Bus([typed, heard], exclusive=False), True),
}


@pytest.mark.parametrize(("build", "overlaps"), DERIVED.values(), ids=DERIVED)
async def test_turns_overlap_by_default_if_all_components_are_typed_buses_and_buses_that_overlap(
    build: Any, overlaps: bool
) -> None:
    # DF-14
    most = Most()
    bus = build(CommandBus({Take: most}))
    for _ in range(2):
        await send_all(bus, [Take(n) for n in range(4)])
    assert most.most == (4 if overlaps else 1)


async def test_the_default_is_derived_anew_when_components_come_and_go_to_any_depth() -> None:
    # DF-14
    most = Most()
    inner = Bus([CommandBus({Take: most})])
    outer = Bus([inner])
    changes: list[tuple[Any, int]] = [
        (lambda: None, 4),
        (lambda: inner.add(heard), 1),
        (lambda: inner.remove(heard), 4),
        (lambda: outer.add(heard), 1),
        (lambda: outer.remove(heard), 4),
    ]
    for change, expected in changes:
        change()
        most.most = 0
        await send_all(outer, [Take(n) for n in range(4)])
        assert most.most == expected
    assert Bus().gate is not None, "components may come that keep state"


async def test_turns_that_wait_when_the_last_other_component_goes_are_let_in() -> None:
    # DF-14
    most, going = Most(), anyio.Event()

    async def hold(message: N) -> None:
        going.set()
        for _ in range(5):
            await checkpoint()
        bus.remove(hold)

    bus = Bus([CommandBus({Take: most}), hold])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus, N(1))
        await going.wait()
        for n in range(3):
            tasks.start_soon(bus, Take(n))
    assert most.most == 1, "they were in line already"
    await send_all(bus, [Take(n) for n in range(4)])
    assert most.most == 4
