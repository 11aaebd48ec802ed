"""The line at a gate: turns wait in it, each in its own event loop, and are let in one after another.

Loops in several threads may share a bus. Two rules keep that safe:

- `Bus.__call__` takes and leaves a gate without a lock as long as no turn waits. Between its look at the gate and its
  change of the gate there is no call, so that CPython runs no other thread in between.
- Everything else that changes gates holds the one lock `changing`. A turn takes its place in the line before it looks
  at the holder for the last time, so that a holder that leaves sees the place, or has left already.

A turn that never waited knows nothing of its loop, because that would slow down every send. So a turn that waits, and
may wait for another loop, looks at times for the loop that the holder is in; see `_look_after`.
"""

from __future__ import annotations

from threading import RLock
from time import monotonic
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from modd.concurrency.loops import LoopEvent, describe_loop, is_halted, is_over, known_loops
from modd.concurrency.scopes import open_scopes
from modd.core.gate import REMOVED, Gate, find_circle, gate_within
from modd.errors import Deadlock, InOtherLoop

PATIENCE, LONGEST_PATIENCE = 0.5, 60.0
"""Seconds until a turn that waits looks for the loop of the holder: at first, and at most; they double each time."""


changing = RLock()  # not a Lock: the garbage collector may end a turn in the middle of a change
"""Held while gates change."""


class Place(LoopEvent):
    """A place in the line of a gate; the event is set when the turn is let in."""

    __slots__ = ("among_own", "watched")

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        last = next(reversed(gate.line.values()), None)
        self.among_own: bool = last is None or (last.loop is self.loop and last.among_own)
        """True if all turns before it in the line are in the same loop."""
        self.watched = not self.among_own or getattr(gate.holder, "loop", None) is not self.loop
        """True if a turn before it may be in another loop."""


async def wait_for_turn(turn: Any, gate: Gate) -> Gate:
    """Wait until the gate lets a turn in, and return the gate that the turn holds. Raises `Deadlock`, `InOtherLoop`."""
    outer = turn.outer
    if outer is None:
        return await enter(turn, gate)
    root = turn.root or turn
    before = root.count
    with changing:
        gate = gate_within(gate, outer)
    gate = await enter(turn, gate)
    turn.start += root.count - before  # messages of other turns do not count for this one
    turn.check_from = min(turn.start + turn.bus.check_from, outer.check_from)
    return gate


async def enter(turn: Any, gate: Gate) -> Gate:
    """Let a turn in, behind all turns that came before, and return its gate. Raises `Deadlock`, `InOtherLoop`.

    On cancellation the turn gives up its place in the line, or passes on the gate that was handed to it meanwhile.
    """
    while (place := _line_up(turn, gate)) is None:
        await checkpoint()  # another thread is removing the gate of a key
        assert gate.gates is not None
        gate = gate.gates.setdefault(gate.key, Gate(gate.name, None, gate.gates, gate.key))
    try:
        if place.watched:
            await _watch(turn, gate, place)
        else:
            await place.wait()
    except BaseException:
        _give_up(turn, gate)
        raise
    return gate


def leave(turn: Any, gate: Gate, within: Gate | None = None) -> None:
    """Hand a gate to the next turn: one inside the turn that ends, if it was left running, else the first in line.

    within: the gate inside the turn that ends. Nothing happens if the turn does not hold the gate any more.
    """
    if gate.holder is turn and not (gate.line or gate.behind or within):  # as in `Bus.__call__`, without the lock
        gate.holder = None if gate.gates is None else REMOVED
        if gate.gates is not None:
            del gate.gates[gate.key]
        return
    with changing:
        gate.holder = holder = gate.holder or turn  # a limit may end a turn before it takes its gate
        if holder is turn:
            _pass_on(turn, gate, within)


def _line_up(turn: Any, gate: Gate) -> Place | None:
    """Take a place in the line, or the gate if it is free; return None if the gate is removed. Raises `Deadlock`."""
    with changing:
        circle = find_circle(gate, turn.outer)
        if circle:
            raise Deadlock(circle)
        turn.gate = gate
        place = gate.line[turn] = Place(gate)
        gate.holder = holder = gate.holder or turn
        if holder is turn or holder is REMOVED:
            del gate.line[turn]
            return place if holder is turn else None
        turn.loop = place.loop
        for around in open_scopes(turn.outer):
            around.waiting = around.waiting or {}
            around.waiting[turn] = None
        return place


def _give_up(turn: Any, gate: Gate) -> None:
    with changing:
        if gate.holder is turn:
            _pass_on(turn, gate)
        elif gate.line.pop(turn, None) is not None:
            _end_wait(turn)


def _pass_on(turn: Any, gate: Gate, within: Gate | None = None) -> None:
    """Hand on a gate that a turn holds, and the gate behind it; see the head of `modd.core.gate`."""
    if within is not None and within.holder is not None:
        gate.holder = within.holder
        within.behind = gate
        return
    _let_in_next(gate)
    behind = gate.behind
    if behind is not None and gate.holder is not None:
        behind.holder = gate.holder
    elif behind is not None:
        gate.behind = None
        _pass_on(turn, behind)


def _let_in_next(gate: Gate) -> None:
    """Hand a gate to the first in line whose loop is not over; without one it is free, and that of a key removed."""
    while gate.line:
        turn = next(iter(gate.line))
        place = gate.line.pop(turn)
        _end_wait(turn)
        gate.holder = turn
        if place.set():
            return
    gate.holder = None
    if gate.gates is not None:
        gate.holder = REMOVED
        del gate.gates[gate.key]


def _end_wait(turn: Any) -> None:
    outer = turn.outer
    while outer is not None:
        if outer.waiting:
            outer.waiting.pop(turn, None)
        outer = outer.outer


async def _watch(turn: Any, gate: Gate, place: Place) -> None:
    """Wait to be let in, and look after the holder, which may be in another loop. Raises `InOtherLoop`."""
    patience, looked, halted = PATIENCE, monotonic(), None
    while gate.holder is not turn:
        with anyio.move_on_after(patience):
            await place.wait()
        if gate.holder is not turn and monotonic() - looked >= PATIENCE:  # else the clock of the loop is virtual
            patience, looked, halted = min(2 * patience, LONGEST_PATIENCE), monotonic(), _look_after(turn, gate, halted)


def _look_after(turn: Any, gate: Gate, halted: Any) -> Any:
    """Take the gate from a holder whose loop is closed; return the holder if its loop does not run for now.

    halted: the holder whose loop did not run at the last look. Raises `InOtherLoop` if its loop still does not run.
    """
    with changing:
        holder, first = gate.holder, next(iter(gate.line), turn)
    if first is not turn and not is_halted(first.loop):
        return None  # the first in line looks after the holder
    loop = getattr(holder, "loop", None) or known_loops.find_halted("turn", holder)
    if loop is None or not is_halted(loop):
        return None
    if not is_over(loop):
        if holder is halted:
            raise InOtherLoop(gate.name, describe_loop(loop))
        return holder
    holder.open = False
    leave(holder, gate)
    return None
