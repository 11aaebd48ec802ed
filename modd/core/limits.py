"""Limits of a turn: how many messages, how deep, and the loop that made too many of them.

Every count of a turn lives here and in `Turn`. The outermost turn counts the messages of all turns inside it, queued
messages included. From `Turn.check_from` on, half of the lowest limit around, each message is checked, and noted as an
edge (cause, component, effect), so that the error of a turn with too many messages can name the cycle.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from modd.concurrency.scopes import open_scopes
from modd.errors import TurnOverflow
from modd.texts import amount, errors_in

BEAT = 256
"""A bus lets other tasks run after this many messages; a component's generator does so, too."""
MAX_DEPTH = 100
"""The most turns within turns."""

Edge = tuple[type, str, type]
"""Message type, component, and the type of the message that the component returned."""


def first_check(limit: int | None) -> int:
    """Return the count at which limits begin to be checked, for a turn that begins at 0: past half of the limit."""
    return sys.maxsize if limit is None else limit // 2 + 1


def check_limits(turn: Any) -> None:
    """Raise `TurnOverflow` if the turn, or a turn around it, has more messages than the limit of its bus."""
    root = turn.root or turn
    for bounded in open_scopes(turn):
        limit, messages = bounded.bus.limit, root.count - bounded.start
        if limit is None or messages <= limit // 2:
            continue
        root.edges = {} if root.edges is None else root.edges
        if messages > limit:
            cycle = find_cycle(root.edges)
            raise TurnOverflow(bounded.bus.name, _reason(limit, cycle), cycle)


def check_depth(turn: Any) -> None:
    """Raise `TurnOverflow` if turns are nested too deep. Turns that have ended do not count and are let go of."""
    if turn.depth <= MAX_DEPTH:
        return
    around = [*open_scopes(turn.outer)]
    for inner, outer in zip([turn, *around], [*around, None], strict=True):
        inner.outer = outer
    for depth, each in enumerate([*reversed(around), turn], start=1):
        each.depth = depth
    if turn.depth > MAX_DEPTH:
        buses = " > ".join([each.bus.name for each in around[3::-1]])
        deep = f"turns are nested more than {MAX_DEPTH} deep (... > {buses})"
        raise TurnOverflow(turn.bus.name, f"{deep}; return messages in place of awaiting a bus")


def is_overflow(error: Exception) -> bool:
    """Return True if a limit cut a turn short: this turn, or one that was awaited."""
    return any(isinstance(each, TurnOverflow) for each in errors_in(error))


def find_cycle(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Return a cycle among the edges, as the edges along it; empty if there is none. Searched depth first."""
    following: dict[type, list[Edge]] = {}
    for edge in edges:
        following.setdefault(edge[0], []).append(edge)
    done: set[type] = set()
    for start, first in following.items():
        path: list[Edge] = []
        branches = [iter(first)]
        on_path = [start]
        while branches:
            step = next(branches[-1], None)
            if step is None:
                branches.pop()
                done.add(on_path.pop())
                del path[-1:]
            elif step[2] in on_path:
                return (*path[on_path.index(step[2]) :], step)
            elif step[2] not in done:
                path.append(step)
                on_path.append(step[2])
                branches.append(iter(following.get(step[2], ())))
    return ()


def _reason(limit: int, cycle: Iterable[Edge]) -> str:
    steps = [f"{message.__name__} -> {component} -> {returned.__name__}" for message, component, returned in cycle]
    seen = f"a loop: {', '.join(steps)}" if steps else "a wide fan-out, not a loop: raise limit if it is meant"
    return f"more than {amount(limit, 'message')} in a turn (limit={limit}); {seen}"
