"""A turn: all that one message from outside causes in a bus, until its queue is empty (MO-1, MO-8, MO-9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec
from anyio import Event

from modd.core.causation import Released, current_origin
from modd.core.loops import Edge
from modd.core.message import Message
from modd.core.meter import Meter
from modd.core.observer import current_delivery
from modd.errors import TurnFailed, TurnOverflow

DEEPEST = 100
"""Turns within turns."""


class Gate:
    """Lets one turn in at a time; the others wait in the order in which they came."""

    __slots__ = ("__weakref__", "base", "behind", "bus", "holder", "line")

    def __init__(self, bus: str, base: Gate | None = None) -> None:
        self.bus = bus
        self.base = base or self
        """The gate of the bus (and key), also for a gate within one of its turns."""
        self.behind: Gate | None = None
        """The gate of a turn that ended before those within it, and which these hold now."""
        self.holder: Turn | None = None
        self.line: dict[Turn, Event] = {}


class Ledger:
    """What a turn has to remember beyond its count; most turns need none."""

    def __init__(self) -> None:
        self.out: list[Message] = []
        """What left the bus."""
        self.origins: dict[int, Any] = {}
        """What caused it, by its place in ``out``, where that was noted."""
        self.errors: list[Exception] = []
        """What is raised to the sender in the end."""
        self.overflow: Exception | None = None
        """What cut a turn within this one short, and with it this one."""
        self.edges: dict[Edge, None] | None = None
        """What led to what: noted by the outermost turn in the second half of a limit."""
        self.within: Gate | None = None
        """The gate for turns within this one that have the same base."""
        self.waits: dict[Turn, None] = {}
        """The turns within this one that wait at a gate now."""

    def let_out(self, messages: Sequence[Message], origin: Any) -> None:
        """Note what leaves the bus, and what caused it."""
        if origin is not None:
            self.origins |= dict.fromkeys(range(len(self.out), len(self.out) + len(messages)), origin)
        self.out += messages

    @property
    def outbound(self) -> tuple[Message, ...]:
        """What left the bus, for the sender and for the surrounding bus."""
        if not self.origins:
            return tuple(self.out)
        released = Released(self.out)
        released.origins = self.origins
        return released


class Turn(msgspec.Struct, eq=False):
    """The state of a turn, made before its first await."""

    bus: Any
    meter: Meter
    start: int = 0
    """The count when it began."""
    gate: Gate | None = None
    """What it holds or waits for; None when it overlaps with all others."""
    outer: Turn | None = None
    """The turn that was open around it when it began."""
    depth: int = 1
    open: bool = True
    ledger: Ledger | None = None

    @property
    def book(self) -> Ledger:
        """The ledger, made when it is needed."""
        if self.ledger is None:
            self.ledger = Ledger()
        return self.ledger


current_turn: ContextVar[Turn | None] = ContextVar("modd_turn", default=None)
"""The turn that was entered last here. Never reset: a turn knows whether it is still open."""


innermost, set_innermost = current_turn.get, current_turn.set


@contextmanager
def detached() -> Iterator[None]:
    """Start work in here that is to outlive the turn: it counts as outside, and its sends wait like anybody's.

    ``with detached(): task_group.start_soon(work)`` inside a component (MO-8).
    """
    turn, delivery, origin = current_turn.set(None), current_delivery.set(None), current_origin.set(None)
    try:
        yield
    finally:
        current_origin.reset(origin)
        current_delivery.reset(delivery)
        current_turn.reset(turn)


def open_turns(turn: Turn | None) -> Iterator[Turn]:
    """The turn and those around it, innermost first, as far as they are still open."""
    while turn is not None:
        if turn.open:
            yield turn
        turn = turn.outer


def outermost(turn: Turn) -> Turn:
    """The turn around all others, which keeps what they have in common."""
    while turn.outer is not None:
        turn = turn.outer
    return turn


def new_turn(bus: Any, outer: Turn | None, gate: Gate | None) -> Turn:
    """A turn that may have to wait before it begins; raises `TurnFailed` when turns are nested too deep."""
    if outer is None:
        return Turn(bus, bus.meter if bus.one_at_a_time else bus.meter.copy(), gate=gate)
    turn = Turn(bus, outer.meter, 0, gate, outer, outer.depth + 1)
    around = _let_go_of_ended(turn) if turn.depth > DEEPEST else []
    if turn.depth > DEEPEST:
        buses = " > ".join([each.bus.name for each in around[3::-1]])
        reason = (
            f"turns are nested more than {DEEPEST} deep (... > {buses}); return messages in place of awaiting a bus"
        )
        raise ended(turn, turn.book, TurnOverflow(bus.name, reason))
    return turn


def _let_go_of_ended(turn: Turn) -> list[Turn]:
    """Count anew how deep a turn is, without the turns around it that have ended; returns the others."""
    around = [*open_turns(turn.outer)]
    for inner, outer in zip([turn, *around], [*around, None], strict=True):
        inner.outer = outer
    for depth, each in enumerate([*reversed(around), turn], start=1):
        each.depth = depth
    return around


def ended(turn: Turn, ledger: Ledger, error: Exception, failures: Iterable[Exception] = ()) -> TurnFailed:
    """What to raise when a limit cuts a turn short; it ends the turns around it too, whoever catches the error."""
    for around in open_turns(turn.outer):
        around.book.overflow = around.book.overflow or error
    ledger.errors += [*failures, error]
    return failed(ledger, turn.bus)


def failed(ledger: Ledger, bus: Any) -> TurnFailed:
    """The error for the sender: what nobody handled, and what left the bus all the same."""
    count = "1 failure" if len(ledger.errors) == 1 else f"{len(ledger.errors)} failures"
    return TurnFailed(f"{count} in a turn of {bus.name}", ledger.errors, ledger.outbound, bus)


def pass_on(turn: Turn, ledger: Ledger) -> None:
    """What left the bus in a turn leaves with the turn of the same bus around it, too."""
    around = next((t for t in open_turns(turn.outer) if t.bus is turn.bus), None)
    if around is not None:
        for at, message in enumerate(ledger.out):
            around.book.let_out((message,), ledger.origins.get(at))


def result_of(turn: Turn) -> tuple[Message, ...]:
    """What left the bus in a turn that has ended; raises `TurnFailed` for what nobody handled."""
    ledger, turn.ledger = turn.ledger, None
    if ledger is None:
        return ()
    if ledger.overflow is not None:
        raise ended(turn, ledger, ledger.overflow)
    if ledger.errors:
        raise failed(ledger, turn.bus)
    return ledger.outbound
