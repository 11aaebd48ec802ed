"""What typed buses are measured by: dispatches with a result, beside the least that does the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Any

import msgspec

from bench.cases import Case, Run, expect, sends, times_as_fast, times_as_slow
from bench.components import Number, counter
from bench.floors import Count
from modd import Bus
from modd.cqrs import Command, CommandBus, Emit, Query, QueryBus
from modd.middleware import Cacher


class Take(Command[int]):
    """Stands for any command."""

    a: int
    b: str


class Look(Query[int]):
    """Stands for any query."""

    a: int


class Trivial(Query[int]):
    """One that is handled each time."""

    a: int


class Plain(msgspec.Struct, frozen=True, gc=False):
    """The same for the floor."""

    a: int
    b: str


class Held:
    """The floor's envelope: a message, an id as text, and room for stamps."""

    __slots__ = ("id", "message", "stamps")

    def __init__(self, message: Any, id: str) -> None:
        self.message, self.id = message, id
        self.stamps: list[Any] | None = None


class First:
    """One of two resources."""


class Second:
    """The other one."""


def command_cases() -> list[Case]:
    """Every case, with what it must reach and what it should reach."""
    return [
        dispatch("dispatch, no middleware", layers=0, must=0.55, aim=0.75),
        dispatch("dispatch, 3 middleware", layers=3, must=0.60, aim=0.80),
        dispatch("dispatch, 9 middleware", layers=9, must=0.70, aim=0.85),
        default_ids("dispatch, default ids beside a counter's"),
        event("command with an event", must=0.15, aim=0.25),
        ask("ask through an overlapping Bus", exclusive=False, must=0.30, aim=0.40),
        ask("ask through an exclusive Bus", exclusive=True, must=0.20, aim=0.30),
        hit("cache hit beside a trivial handler in the same bus"),
        hit_alone("cache hit beside a trivial handler in a bus without middleware"),
        resources("two resources beside none"),
    ]


def dispatch(name: str, *, layers: int, must: float, aim: float) -> Case:
    """A command through so many middleware that pass it on."""
    bus = CommandBus({Take: take}, middleware=[layer] * layers)
    return Case(name, _results(bus.dispatch), _floor(layers), times_as_fast, must, aim)


def default_ids(name: str) -> Case:
    """The ids that are made when they are read, and numbers that are there at once."""
    bus, counting = CommandBus({Take: take}), CommandBus({Take: take}, new_id=map(str, count()).__next__)
    return Case(name, _results(bus.dispatch), _results(counting.dispatch), times_as_slow, 1.1, 1.1, at_most=True)


def event(name: str, *, must: float, aim: float) -> Case:
    """A command whose handler emits an event, which a component beside the typed bus counts."""
    count = Count()
    bus = Bus([CommandBus({Take: take_and_emit}), counter(Number, count)])
    run = sends(bus, lambda n: Take(n, "two"), count, 1)
    return Case(name, run, _floor(0), times_as_fast, must, aim, messages=2)


def ask(name: str, *, exclusive: bool, must: float, aim: float) -> Case:
    """The result of a command in a typed bus, asked of the bus around it."""
    bus = Bus([CommandBus({Take: take})], exclusive=exclusive)

    async def run(times: int) -> None:
        for i in range(times):
            expect(await bus.ask(Take(i, "two")), i)

    return Case(name, run, _floor(0), times_as_fast, must, aim)


def hit(name: str) -> Case:
    """A result that is in the cache, and one that a handler gives at once in the same bus."""
    bus = QueryBus({Look: look, Trivial: look}, middleware=[Cacher(intents={Trivial: {"ttl": 0}})])
    return Case(name, _looks(bus, Look), _looks(bus, Trivial), times_as_slow, must=2.0, aim=1.2, at_most=True)


def hit_alone(name: str) -> Case:
    """A result that is in the cache, and one that a handler gives at once in a bus without middleware."""
    cached, plain = QueryBus({Look: look}, middleware=[Cacher()]), QueryBus({Look: look})
    return Case(name, _looks(cached, Look), _looks(plain, Look), times_as_slow, must=2.0, aim=1.2, at_most=True)


def resources(name: str) -> Case:
    """A handler that gets two plain values besides the command, and one that gets none."""
    given: dict[Any, Any] = {First: First(), Second: Second()}
    both, none = CommandBus({Take: take_with_both}, resources=given), CommandBus({Take: take})
    return Case(name, _results(both.dispatch), _results(none.dispatch), times_as_slow, 1.2, 1.05, at_most=True)


async def take(command: Take) -> int:
    """The handler."""
    return command.a


async def take_and_emit(command: Take, emit: Emit) -> None:
    """The handler that emits an event."""
    emit(Number(command.a))


async def take_with_both(command: Take, first: First, second: Second) -> int:
    """The handler with resources."""
    return command.a


async def look(query: Look | Trivial) -> int:
    """The handler of queries."""
    return query.a


async def layer(envelope: Any, call_next: Any) -> None:
    """A middleware that passes on."""
    await call_next(envelope)


def _floor(layers: int) -> Run:
    """A chain that is closed over once, without stamps, routes, ids to read, or care for anything."""

    async def end(held: Held) -> Any:
        return await handle(held.message)

    async def handle(message: Plain) -> int:
        return message.a

    def link(further: Callable[[Held], Awaitable[Any]]) -> Callable[[Held], Awaitable[Any]]:
        async def passing(held: Held, call_next: Any) -> Any:
            return await call_next(held)

        return lambda held: passing(held, further)

    chain: Callable[[Held], Awaitable[Any]] = end
    for _ in range(layers):
        chain = link(chain)
    numbers = count()

    async def send(message: Plain) -> Any:
        return await chain(Held(message, f"01J9Z-{next(numbers)}"))

    async def run(times: int) -> None:
        for i in range(times):
            expect(await send(Plain(i, "two")), i)

    return run


def _results(send: Any) -> Run:
    async def run(times: int) -> None:
        for i in range(times):
            expect((await send(Take(i, "two"))).result, i)

    return run


def _looks(bus: Any, kind: Any) -> Run:
    async def run(times: int) -> None:
        opened: AbstractAsyncContextManager[Any] = bus
        async with opened:
            for _ in range(times):
                expect((await bus.dispatch(kind(1))).result, 1)

    return run
