"""Cases of the core. Both runs of a case do the same work and count the messages that were handled."""

from __future__ import annotations

import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from bench import components, floors
from bench.floors import Count, Floor
from modd import Bus

Run = Callable[[int], Awaitable[float | None]]
"""A function that sends a number of times, and raises an error if it has counted a wrong number of messages.

It returns the seconds to count, or None if all of its time counts.
"""

CART = 20_000
"""Sends after which a run takes a new cart, because a cart keeps its lines."""
NO_LIMIT = 10_000_000
"""A limit that no case reaches, so that only the loop is measured."""


@dataclass(frozen=True)
class Case:
    """Two runs that are measured side by side, and the figure that compares them."""

    name: str
    run: Run
    base: Run
    """The run to compare with."""
    figure: Callable[[float, float], float]
    """Returns the figure from the seconds of one send with ``run`` and with ``base``."""
    must: float
    aim: float
    messages: int = 1
    """Messages that are handled per send."""
    at_most: bool = False
    """True if a smaller figure is better."""
    opening: AbstractAsyncContextManager[Any] = field(default_factory=nullcontext)
    """Is open during the runs."""


def all_cases() -> list[Case]:
    """Return every case with the ratio that it must reach and the ratio that it should reach."""
    return [
        dispatch("1 handler, async", handlers=1, types=1, sync=False, must=0.38, aim=0.50),
        dispatch("1 handler, sync", handlers=1, types=1, sync=True, must=0.70, aim=0.85),
        dispatch("10 handlers, async", handlers=10, types=1, sync=False, must=0.70, aim=0.85),
        dispatch("10 handlers, sync", handlers=10, types=1, sync=True, must=1.5, aim=1.9),
        dispatch("100 types, 1 sent, async", handlers=1, types=100, sync=False, must=12, aim=18),
        dispatch("100 types, 1 sent, sync", handlers=1, types=100, sync=True, must=24, aim=32),
        shopping("shopping, 2 components", idle=0, must=0.85, aim=1.2),
        shopping("shopping, 100 components", idle=98, must=11, aim=15),
        depth("depth 10 000", 10_000, must=0.65, aim=0.80),
        fan("fan 10 000", 10_000, must=0.72, aim=0.85),
        fan("fan 50 000", 50_000, must=0.70, aim=0.85),
        nested("one bus deeper, per level", levels=1),
        nested("two buses deeper, per level", levels=2),
    ]


def dispatch(name: str, *, handlers: int, types: int, sync: bool, must: float, aim: float) -> Case:
    """One of several types is sent, and each of its handlers counts it."""
    count = Count()
    kinds, plain = components.number_types(types), floors.number_types(types)
    bus = Bus([components.counter(kind, count, sync=sync) for kind in kinds for _ in range(handlers)])
    floor = Floor(floors.counter(kind, count) for kind in plain for _ in range(handlers))
    run, base = sends(bus, kinds[0], count, handlers), sends(floor.send, plain[0], count, handlers)
    return Case(name, run, base, times_as_fast, must, aim)


def shopping(name: str, *, idle: int, must: float, aim: float) -> Case:
    """A cart that answers each addition with its totals, a checkout that keeps the totals, and idle components."""
    seen: list[Any] = [None]

    def bus() -> Bus:
        others = [components.idle() for _ in range(idle)]
        return Bus([components.cart(), components.checkout(seen), *others])

    def floor() -> Any:
        others = [floors.idle() for _ in range(idle)]
        return Floor([floors.cart(), floors.checkout(seen), *others]).send

    run, base = _purchases(bus, components.Added, seen), _purchases(floor, floors.Added, seen)
    return Case(name, run, base, times_as_fast, must, aim, messages=2)


def depth(name: str, length: int, *, must: float, aim: float) -> Case:
    """A chain: each message causes the next, down to zero."""
    count, each = Count(), length + 1
    bus, floor = Bus([components.down(count)], limit=NO_LIMIT), Floor([floors.down(count)])
    run = sends(bus, lambda _: components.Number(length), count, each)
    base = sends(floor.send, lambda _: floors.Number(length), count, each)
    return Case(name, run, base, times_as_fast, must, aim, messages=each)


def fan(name: str, width: int, *, must: float, aim: float) -> Case:
    """One message causes many messages at once."""
    count = Count()
    bus, floor = Bus([components.spread(count)], limit=NO_LIMIT), Floor([floors.spread(count)])
    run = sends(bus, lambda _: components.Wide(width), count, width)
    base = sends(floor.send, lambda _: floors.Wide(width), count, width)
    return Case(name, run, base, times_as_fast, must, aim, messages=width)


def nested(name: str, *, levels: int) -> Case:
    """Return the cost that each surrounding bus adds to a send, as a multiple of a send to the inner bus alone."""
    count = Count()
    plain, deep = (Bus([components.counter(components.Number, count)]) for _ in range(2))
    for _ in range(levels):
        deep = Bus([deep])
    run, base = sends(deep, components.Number, count, 1), sends(plain, components.Number, count, 1)
    return Case(name, run, base, lambda seconds, base: (seconds / base - 1) / levels, must=1.3, aim=0.9, at_most=True)


async def peak_of_chain(length: int) -> int:
    """Return the peak memory, in bytes, of one turn with a chain of messages.

    The limit is just high enough, so that the second half of the turn also notes which message caused which.
    """
    count = Count()
    bus = Bus([components.down(count)], limit=length)
    await bus(components.Number(0))
    tracemalloc.start()
    try:
        await bus(components.Number(length - 1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    expect(count.n, length + 1)
    return peak


def times_as_fast(seconds: float, base: float) -> float:
    """Return how many times as fast as the base a run is."""
    return base / seconds


def times_as_slow(seconds: float, base: float) -> float:
    """Return the seconds of a run as a multiple of the base."""
    return seconds / base


def expect(counted: object, wanted: object) -> None:
    """Raise an error unless a run has counted the number that it has to."""
    if counted != wanted:
        raise RuntimeError(f"counted {counted} instead of {wanted}")


def sends(send: Any, make: Callable[[int], Any], count: Count, each: int) -> Run:
    """Return a run that builds and sends messages.

    each: messages that are handled per send.
    """

    async def run(times: int) -> None:
        count.n = 0
        for i in range(times):
            await send(make(i))
        expect(count.n, times * each)

    return run


def _purchases(open_shop: Callable[[], Any], make: Callable[..., Any], seen: list[Any]) -> Run:
    """Return a run that puts two pieces into the cart with each send."""

    async def run(times: int) -> None:
        for start in range(0, times, CART):
            send, purchases = open_shop(), min(CART, times - start)
            for _ in range(purchases):
                await send(make(sku="KAY-123-YOLO", price=10.99, quantity=2))
            expect(seen[0].items, 2 * purchases)

    return run
