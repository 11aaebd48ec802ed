"""Holding something that others wait for, with waits that the search for deadlocks knows (MO-8, MI-29)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from modd.gate import leave, wait
from modd.meter import Meter
from modd.turn import Gate, Turn, innermost, open_turns, set_innermost


class Place:
    """What holds a gate when it is no bus: it has a name, and no limits of its own."""

    limit = None
    watchers = ()

    def __init__(self, name: str) -> None:
        self.name = name


@asynccontextmanager
async def holding(gate: Gate) -> AsyncIterator[None]:
    """Hold a gate for as long as the block lasts; those who want it wait in the order in which they came.

    Make the gate with the name that is to stand in the error: ``Gate("the cache of GetUser")``. Raises `Deadlock` when
    the wait would never end, because the one who holds it waits for the one who asks.
    """
    outer = next(open_turns(innermost()), None)
    meter = Meter() if outer is None else outer.meter
    turn = Turn(Place(gate.bus), meter, meter.count, gate, outer, 1 if outer is None else outer.depth + 1)
    if gate.holder is None:
        gate.holder = turn
    else:
        await wait(turn, gate)
    set_innermost(turn)
    try:
        yield
    finally:
        turn.open = False
        leave(gate)
