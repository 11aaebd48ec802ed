"""Cases of typed buses: commands and queries with results, compared with a bare chain of functions."""

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
    """A command."""

    a: int
    b: str


class Look(Query[int]):
    """A query."""

    a: int


class Trivial(Query[int]):
    """A query that no cache answers."""

    a: int


class Plain(msgspec.Struct, frozen=True, gc=False):
    """The command of the floor."""

    a: int
    b: str


class FloorEnvelope:
    """The envelope of the floor: a message, an id as text, and room for stamps."""

    __slots__ = ("id", "message", "stamps")

    def __init__(self, message: Any, id: str) -> None:
        self.message, self.id = message, id
        self.stamps: list[Any] | None = None


class First:
    """A resource."""


class Second:
    """A second resource."""


def command_cases() -> list[Case]:
    """Return every case with the ratio that it must reach and the ratio that it should reach."""
    return [
        dispatch("dispatch, no middleware", layers=0, must=0.55, aim=0.75),
        dispatch("dispatch, 3 middleware", layers=3, must=0.60, aim=0.80),
        dispatch("dispatch, 9 middleware", layers=9, must=0.70, aim=0.85),
        default_ids("dispatch, default ids beside a counter's"),
        event("command with an event", must=0.05, aim=0.08),
        ask("ask through an overlapping Bus", exclusive=False, must=0.30, aim=0.40),
        ask("ask through an exclusive Bus", exclusive=True, must=0.18, aim=0.25),
        hit("cache hit beside a trivial handler in the same bus"),
        hit_alone("cache hit beside a trivial handler in a bus without middleware"),
        resources("two resources beside none"),
    ]


def dispatch(name: str, *, layers: int, must: float, aim: float) -> Case:
    """A command goes through a number of middleware that pass it on."""
    bus = CommandBus({Take: take}, middleware=[layer] * layers)
    return Case(name, _results(bus.dispatch), _floor(layers), times_as_fast, must, aim)


def default_ids(name: str) -> Case:
    """Default ids, which are made when they are read, compared with a counter's."""
    bus, counting = CommandBus({Take: take}), CommandBus({Take: take}, new_id=map(str, count()).__next__)
    return Case(name, _results(bus.dispatch), _results(counting.dispatch), times_as_slow, 1.1, 1.1, at_most=True)


def event(name: str, *, must: float, aim: float) -> Case:
    """A command whose handler emits an event, which a component beside the typed bus counts."""
    count = Count()
    bus = Bus([CommandBus({Take: take_and_emit}), counter(Number, count)])
    run = sends(bus, lambda n: Take(n, "two"), count, 1)
    return Case(name, run, _floor(0), times_as_fast, must, aim, messages=2)


def ask(name: str, *, exclusive: bool, must: float, aim: float) -> Case:
    """The result of a command in a typed bus, asked of the surrounding bus."""
    bus = Bus([CommandBus({Take: take})], exclusive=exclusive)

    async def run(times: int) -> None:
        for i in range(times):
            expect(await bus.ask(Take(i, "two")), i)

    return Case(name, run, _floor(0), times_as_fast, must, aim)


def hit(name: str) -> Case:
    """A cached result, compared with the result of a trivial handler in the same bus."""
    bus = QueryBus({Look: look, Trivial: look}, middleware=[Cacher(intents={Trivial: {"ttl": 0}})])
    return Case(name, _looks(bus, Look), _looks(bus, Trivial), times_as_slow, must=2.0, aim=1.2, at_most=True)


def hit_alone(name: str) -> Case:
    """A cached result, compared with the result of a trivial handler in a bus without middleware."""
    cached, plain = QueryBus({Look: look}, middleware=[Cacher()]), QueryBus({Look: look})
    return Case(name, _looks(cached, Look), _looks(plain, Look), times_as_slow, must=2.0, aim=1.2, at_most=True)


def resources(name: str) -> Case:
    """A handler with two resources, compared with a handler without."""
    values: dict[Any, Any] = {First: First(), Second: Second()}
    both, none = CommandBus({Take: take_with_both}, resources=values), CommandBus({Take: take})
    return Case(name, _results(both.dispatch), _results(none.dispatch), times_as_slow, 1.2, 1.05, at_most=True)


async def take(command: Take) -> int:
    """Return the number of a command."""
    return command.a


async def take_and_emit(command: Take, emit: Emit) -> None:
    """Emit an event."""
    emit(Number(command.a))


async def take_with_both(command: Take, first: First, second: Second) -> int:
    """Return the number of a command, with resources that are not used."""
    return command.a


async def look(query: Look | Trivial) -> int:
    """Return the number of a query."""
    return query.a


async def layer(envelope: Any, call_next: Any) -> None:
    """Pass the envelope on."""
    await call_next(envelope)


def _floor(layers: int) -> Run:
    """Return a run through a chain of functions that has no stamps, no routes and no care for errors."""

    async def end(envelope: FloorEnvelope) -> Any:
        return await handle(envelope.message)

    async def handle(message: Plain) -> int:
        return message.a

    def link(further: Callable[[FloorEnvelope], Awaitable[Any]]) -> Callable[[FloorEnvelope], Awaitable[Any]]:
        async def passing(envelope: FloorEnvelope, call_next: Any) -> Any:
            return await call_next(envelope)

        return lambda envelope: passing(envelope, further)

    chain: Callable[[FloorEnvelope], Awaitable[Any]] = end
    for _ in range(layers):
        chain = link(chain)
    numbers = count()

    async def send(message: Plain) -> Any:
        return await chain(FloorEnvelope(message, f"01J9Z-{next(numbers)}"))

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
