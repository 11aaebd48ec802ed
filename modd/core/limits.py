"""Counting the messages of a turn: when to let others run, and when it is too many (MO-8, MO-9)."""

from __future__ import annotations

from collections.abc import Iterator

from anyio.lowlevel import checkpoint

from modd.core.loops import Edge, cycle_in, overflow_reason
from modd.core.meter import BEAT
from modd.core.turn import Turn, open_turns, outermost, set_innermost
from modd.errors import TurnOverflow


def begin(turn: Turn) -> None:
    """Start to count from here on, and be the turn that what is sent from here is inside of."""
    turn.start = turn.meter.count
    _give_room(turn)
    set_innermost(turn)


async def look(turn: Turn) -> None:
    """Hold a turn to its limits, and let others run when it is time."""
    check_limits(turn)
    meter = turn.meter
    due = meter.count >= meter.beat
    if due:
        meter.beat = meter.count + BEAT
    _give_room(turn)
    if due:
        await checkpoint()


def check_limits(turn: Turn) -> None:
    """Raise `TurnOverflow` when the turn, or one around it, has more messages than its limit (MO-9)."""
    count = turn.meter.count
    for bounded, limit, mark in _marks(turn):
        if count >= mark:
            book = outermost(turn).book
            edges = book.edges = book.edges or {}
            if mark > bounded.start + limit:
                cycle = cycle_in(edges)
                raise TurnOverflow(bounded.bus.name, overflow_reason(limit, cycle), cycle)


def edges_of(turn: Turn) -> dict[Edge, None] | None:
    """What led to what, or None as long as that is not noted."""
    ledger = outermost(turn).ledger
    return None if ledger is None else ledger.edges


def _marks(turn: Turn) -> Iterator[tuple[Turn, int, int]]:
    """The counts that matter: half of a limit, where edges begin to be noted, and one more than the limit."""
    for bounded in open_turns(turn):
        limit = bounded.bus.limit
        if limit is not None:
            yield bounded, limit, bounded.start + limit // 2 + 1
            yield bounded, limit, bounded.start + limit + 1


def _give_room(turn: Turn) -> None:
    """Let the turn go on to the next count that matters."""
    meter = turn.meter
    count = meter.count
    meter.horizon = min([meter.beat, *[mark for _, _, mark in _marks(turn) if mark > count]])
    meter.room = meter.horizon - count
