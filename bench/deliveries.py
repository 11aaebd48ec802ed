"""Cases of lists, boundaries, turns that overlap, failures and observers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench import components, floors
from bench.cases import Case, fan, sends, times_as_fast, times_as_slow
from bench.floors import Count, Floor
from modd import Bus, Delivery, Observer

KEYS = 16
"""Keys that the messages of the case "key" have in turn."""


class CountingObserver(Observer):
    """An observer that counts the deliveries that ended."""

    def __init__(self, count: Count) -> None:
        self._count = count

    def ended(self, delivery: Delivery) -> None:
        """Count the delivery."""
        self._count.n += 1


def delivery_cases() -> list[Case]:
    """Return every case with the ratio that it must reach and the ratio that it should reach."""
    return [
        fan("list of one", 1, must=0.28, aim=0.40),
        lets_out("lets out", must=0.08, aim=0.10),
        gated("overlapping", False, must=0.35, aim=0.45),
        gated("key", lambda message: message.n % KEYS, must=0.20, aim=0.30),
        failure("failure", must=0.05, aim=0.07),
        observed("observed"),
    ]


def lets_out(name: str, *, must: float, aim: float) -> Case:
    """An inner bus lets an event out, and a component of the outer bus counts it."""
    count = Count()
    inner = Bus([components.reply()], outbound=[components.Number])
    outer = Bus([inner, components.counter(components.Number, count)])
    floor = Floor([floors.reply(), floors.counter(floors.Number, count)])
    run, base = sends(outer, components.Wide, count, 1), sends(floor.send, floors.Wide, count, 1)
    return Case(name, run, base, times_as_fast, must, aim, messages=2)


def gated(name: str, exclusive: bool | Callable[[Any], object], *, must: float, aim: float) -> Case:
    """One async handler in a bus whose turns overlap, or overlap unless they have the same key."""
    count = Count()
    bus = Bus([components.counter(components.Number, count)], exclusive=exclusive)
    floor = Floor([floors.counter(floors.Number, count)])
    run, base = sends(bus, components.Number, count, 1), sends(floor.send, floors.Number, count, 1)
    return Case(name, run, base, times_as_fast, must, aim)


def failure(name: str, *, must: float, aim: float) -> Case:
    """A component raises, and another component handles the failure."""
    count = Count()
    bus = Bus([components.broken(), components.rescue(count)])
    floor = Floor([floors.broken(), floors.rescue(count)])
    run, base = sends(bus, components.Number, count, 1), sends(floor.send, floors.Number, count, 1)
    return Case(name, run, base, times_as_fast, must, aim, messages=2)


def observed(name: str) -> Case:
    """One async handler in a bus with an observer, as a multiple of the same bus without one."""
    seen, count = Count(), Count()
    bus, plain = (Bus([components.counter(components.Number, count)]) for _ in range(2))
    send, base = sends(bus, components.Number, seen, 1), sends(plain, components.Number, count, 1)

    async def run(times: int) -> None:
        with bus.observe(CountingObserver(seen)):
            await send(times)

    return Case(name, run, base, times_as_slow, must=6.5, aim=5, at_most=True)
