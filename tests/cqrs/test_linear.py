"""The events of a command, raw data, and chains of dispatches: work grows as they do, and memory does not."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from typing import Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, Failure, Journey
from modd.core import Origin, Turn
from modd.cqrs import Actor, Ask, Command, CommandBus, Emit, Envelope, Event, EventBus, InvalidIntent
from modd.middleware import Validator
from tests.steps import calls_of, calls_while

pytestmark = pytest.mark.anyio


class Many(Command[None]):
    count: int


class One(Command[None]):
    number: int = 0


class Happened(Event):
    number: int


def emit_many(command: Many, emit: Emit) -> None:
    for number in range(command.count):
        emit(Happened(number))


async def emit_and_ask(command: Many, emit: Emit, ask: Ask) -> None:
    for number in range(command.count):
        emit(Happened(number))
        await ask(One(number))


def yield_many(command: Many) -> Any:
    for number in range(command.count):
        yield Happened(number)


def take(event: Happened) -> None: ...


def refuse(event: Happened) -> None:
    raise ValueError


def make_one(command: One) -> None: ...


BUSES: dict[str, Callable[[], Bus]] = {
    "emitted": lambda: Bus([CommandBus([emit_many]), EventBus([take])]),
    "emitted between asks": lambda: Bus([CommandBus([emit_and_ask, make_one]), EventBus([take])]),
    "let out": lambda: Bus([Bus([CommandBus([emit_many])], outbound=[Happened])], outbound=[Happened]),
    "refused": lambda: Bus(
        [Bus([CommandBus([emit_many]), EventBus([refuse])], outbound=[Failure])], outbound=[Failure]
    ),
    "yielded": lambda: Bus([yield_many, take], outbound=[Happened]),
    "received by nothing": lambda: Bus([yield_many], outbound=[Happened]),
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("made", BUSES)
async def test_four_times_as_many_events_of_one_command_take_four_times_as_many_steps(
    made: str, observed: bool
) -> None:
    # DF-18
    async def steps(count: int) -> int:
        bus = BUSES[made]()
        with suppress(ExceptionGroup):
            await bus(Many(1))
        with Journey(bus) if observed else nullcontext():
            return await calls_while(lambda: send(bus, count))

    async def send(bus: Bus, count: int) -> None:
        with suppress(ExceptionGroup):
            await bus(Many(count))

    few, many = await steps(100), await steps(400)
    assert many < 4.4 * few, (few, many)


class Point(msgspec.Struct, frozen=True):
    x: int


class Cat(msgspec.Struct, frozen=True, tag=True):
    x: int


class Dog(msgspec.Struct, frozen=True, tag=True):
    x: int


class Draw(Command[None]):
    pairs: frozenset[tuple[int, int]] = frozenset()
    points: frozenset[Point] = frozenset()
    nested: frozenset[frozenset[Point]] = frozenset()
    pets: frozenset[tuple[Cat | Dog, ...]] = frozenset()


DATA: dict[str, Callable[[int], Any]] = {
    "pairs": lambda number: [number, number],
    "points": lambda number: {"x": number},
    "nested": lambda number: [{"x": number}, {"x": -number}],
    "pets": lambda number: [{"type": "Cat", "x": number}, {"type": "Dog", "x": number}],
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("field", DATA)
def test_four_times_as_much_raw_data_takes_four_times_as_many_steps(field: str, as_json: bool) -> None:
    # DF-18
    bus = CommandBus({Draw: lambda message: None})

    def steps(count: int) -> int:
        data: Any = {field: [DATA[field](number) for number in range(count)]}
        return calls_of(lambda: bus.create(Draw, json.dumps(data) if as_json else data))

    steps(1)
    few, many = steps(100), steps(400)
    assert many < 4.4 * few, (few, many)


@pytest.mark.parametrize("field", DATA)
async def test_validation_of_four_times_as_many_values_takes_four_times_as_many_steps(field: str) -> None:
    bus = CommandBus({Draw: lambda message: None}, middleware=[Validator()])

    async def steps(count: int) -> int:
        message = bus.create(Draw, {field: [DATA[field](number) for number in range(count)]})
        return await calls_while(lambda: bus.dispatch(message))

    await steps(1)
    few, many = await steps(100), await steps(400)
    assert many < 4.4 * few, (few, many)


def test_many_unknown_fields_in_sets_are_told_in_linear_time() -> None:
    bus = CommandBus({Draw: lambda message: None})

    def steps(count: int) -> int:
        data = {"points": [{"x": number, "y": 0} for number in range(count)]}

        def create() -> None:
            with pytest.raises(InvalidIntent) as info:
                bus.create(Draw, data)
            assert len(info.value.errors) == count

        return calls_of(create)

    few, many = steps(100), steps(400)
    assert many < 4.4 * few, (few, many)


Send = Callable[[Any], Coroutine[Any, Any, Any]]
CHAINS: dict[str, Callable[[Any], Send]] = {
    "dispatch": lambda tick: CommandBus([tick]).dispatch,
    "ask": lambda tick: CommandBus([tick]).ask,
    "send": lambda tick: Bus([CommandBus([tick])]),
    "ask of a bus": lambda tick: Bus([CommandBus([tick])]).ask,
    "dispatch of a bus": lambda tick: Bus([Bus([CommandBus([tick])])]).dispatch,
    "component": lambda tick: Bus([tick], exclusive=False),
}


def alive() -> int:
    gc.collect()
    return sum(isinstance(each, (Origin, Turn)) for each in gc.get_objects())


@pytest.mark.parametrize("chain", CHAINS)
async def test_a_chain_of_dispatches_that_overlap_keeps_few_of_them_alive(chain: str) -> None:
    # DF-18
    counts: list[int] = []
    async with anyio.create_task_group() as tasks:

        async def tick(command: One) -> None:
            if command.number < 200:
                tasks.start_soon(send, One(command.number + 1))  # begins before this one ends
            await checkpoint()
            await checkpoint()
            if command.number in (1, 199):
                counts.append(alive())

        send = CHAINS[chain](tick)
        await send(One())
    assert counts[1] < counts[0] + 25, counts


async def test_a_long_line_of_causes_in_one_turn_keeps_few_dispatches_alive() -> None:
    # DF-18
    counts: list[int] = []

    def on_one(command: One, emit: Emit) -> None:
        if command.number in (1, 199):
            counts.append(alive())
        emit(Happened(command.number + 1))

    def on_happened(event: Happened) -> One | None:
        return One(event.number) if event.number < 200 else None

    await Bus([CommandBus([on_one]), EventBus([on_happened])])(One())
    assert counts[1] < counts[0] + 10, counts


async def test_a_command_that_emits_passes_on_the_stamps_that_came_between() -> None:
    passed: list[str | None] = []

    async def emit_in_turns(command: Many, envelope: Envelope[Many], ask: Ask) -> None:
        await ask(One(1))
        envelope.add(Actor("ada"))
        await ask(One(2))
        envelope.add(Actor("bob"))
        await ask(One(3))

    def note(command: One, envelope: Envelope[One]) -> None:
        actor = envelope.last(Actor)
        passed.append(actor.id if actor else None)

    bus = CommandBus([emit_in_turns, note])
    await bus.dispatch(Many(1))
    assert passed == [None, "ada", "bob"]
