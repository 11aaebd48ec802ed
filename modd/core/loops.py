"""Finding the loop in a turn that made too many messages (MO-9)."""

from __future__ import annotations

from collections.abc import Iterable

Edge = tuple[type, str, type]
"""Message type, component, and the type of what it gave back."""


def cycle_in(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """A cycle among the edges, as the edges along it; empty when there is none."""
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


def overflow_reason(limit: int, cycle: Iterable[Edge]) -> str:
    """Why a turn was stopped, for people."""
    steps = [f"{given.__name__} -> {component} -> {returned.__name__}" for given, component, returned in cycle]
    seen = f"a loop: {', '.join(steps)}" if steps else "a wide fan-out, not a loop: raise limit if it is meant"
    return f"more than {limit} messages in a turn (limit={limit}); {seen}"
