"""Waiting for a turn to end, and the deadlock that is found before anybody waits for ever (MO-8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import Event

from modd.core.meter import Meter
from modd.core.turn import Gate, Turn, innermost, open_turns, set_innermost
from modd.errors import Deadlock


def gate_for(base: Gate, outer: Turn | None) -> Gate:
    """Where to wait: at the gate itself, or inside one of its turns at the gate of that turn."""
    for turn in open_turns(outer):
        if turn.gate is not None and turn.gate.base is base:
            book = turn.book
            book.within = book.within or Gate(base.bus, base)
            return book.within
    return base


async def wait(turn: Turn, gate: Gate) -> None:
    """Wait for a gate that is held, behind all who came before; raises `Deadlock` when that would never end.

    On cancellation the place in the line is given up, or the gate passed on if it had just been handed over.
    """
    circle = find_circle(gate, turn.outer)
    if circle:
        raise Deadlock(circle)
    event = gate.line[turn] = Event()
    for around in open_turns(turn.outer):
        around.book.waits[turn] = None
    try:
        await event.wait()
    except BaseException:
        if gate.holder is turn:
            leave(gate)
        else:
            del gate.line[turn]
            _note_wait_over(turn)
        raise


def leave(gate: Gate, within: Gate | None = None) -> None:
    """Hand a gate to the first in the line, or, while turns within go on that were left running, to these."""
    if within is not None and within.holder is not None:
        gate.holder = within.holder
        within.behind = gate
        return
    gate.holder = next(iter(gate.line), None)
    if gate.holder is not None:
        _note_wait_over(gate.holder)
        gate.line.pop(gate.holder).set()
    if gate.behind is not None:
        if gate.holder is not None:
            gate.behind.holder = gate.holder
        else:
            leave(gate.behind)
            gate.behind = None


def find_circle(gate: Gate, caller: Turn | None) -> tuple[str, ...]:
    """The names of the buses that would wait for each other if the caller waited at this gate; empty if none would.

    Searched depth first from the gate to its holder, to all that waits in the holder's turn, to their holders; a
    circle is closed by a turn that the caller is in. A caller from outside is in none.
    """
    mine = set(open_turns(caller))
    ways: list[tuple[Gate, tuple[str, ...]]] = [(gate, ())] if mine else []
    seen: set[Gate] = set()
    while ways:
        gate, path = ways.pop()
        holder = gate.holder
        if holder in mine:
            return (gate.bus, *path)
        if holder is not None and holder.ledger is not None and gate not in seen:
            seen.add(gate)
            ways += [(t.gate, (*path, gate.bus)) for t in holder.ledger.waits if t.gate is not None]
    return ()


def _note_wait_over(turn: Turn) -> None:
    outer = turn.outer
    while outer is not None:
        if outer.ledger is not None:
            outer.ledger.waits.pop(turn, None)
        outer = outer.outer


class NamedHolder:
    """What holds a gate when it is no bus: it has a name, and no limits of its own."""

    limit = None
    watchers = ()

    def __init__(self, name: str) -> None:
        self.name = name


@asynccontextmanager
async def hold(gate: Gate) -> AsyncIterator[None]:
    """Hold a gate for as long as the block lasts; those who want it wait in the order in which they came.

    Make the gate with the name that is to stand in the error: ``Gate("the cache of GetUser")``. Raises `Deadlock` when
    the wait would never end, because the one who holds it waits for the one who asks.
    """
    outer = next(open_turns(innermost()), None)
    meter = Meter() if outer is None else outer.meter
    turn = Turn(NamedHolder(gate.bus), meter, meter.count, gate, outer, 1 if outer is None else outer.depth + 1)
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
