"""A journey as a tree of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modd.core import Delivery, Failure, name_of
from modd.journey.record import Reception, Record

DEEPEST = 50
"""Messages that are drawn below each other; what lies deeper is counted."""


_UNITS = ((0.9995e-6, 1e-9, "ns", 0), (0.9995e-3, 1e-6, "µs", 0), (0.9995, 1e-3, "ms", 9.95), (59.5, 1.0, "s", 9.95))
"""Up to how many seconds a unit is used, how many it has, its name, and up to which count it has a decimal."""


def format_duration(seconds: float) -> str:
    """Seconds in a unit that reads well: ``41 µs``, ``1.2 ms``, ``35 ms``, ``2.5 s``, ``3 min 20 s``."""
    for below, unit, name, fine in _UNITS:
        if seconds < below:
            count = seconds / unit
            return f"{count:.{int(count < fine)}f} {name}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def short_repr(value: object, most: int = 100) -> str:
    """The repr of a message or error in one line, shortened to ``most`` characters; it never raises."""
    try:
        text = f"Failure({value.error!r})" if isinstance(value, Failure) else repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    line = " ".join(text.splitlines())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def fate_notes(taken: Reception) -> list[str]:
    """What became of a message, where that is not told by its deliveries."""
    left = [f"left {taken.bus.name}"] if taken.leaves or taken.fate == "left" else []
    fate = {"queued": ["still queued"], "received": [], "left": []}.get(taken.fate, [taken.fate])
    return [*fate, *left]


def outcome_notes(delivery: Delivery) -> list[str]:
    """How a delivery ended, where that is not as it should."""
    if delivery.outcome == "failed":
        return [f"failed: {short_repr(delivery.error)}"]
    return [] if delivery.outcome == "done" else [delivery.outcome]


def render_tree(record: Record, home: Any) -> str:
    """Every message from outside, and below it who received it and what that caused, in turn.

    home: the bus of the journey; components of other buses are shown with the name of theirs.
    """
    return "\n".join(line for taken in record.roots for line in (_label(taken, home), *_below(taken, record, home, "")))


def _below(node: Reception | Delivery, record: Record, home: Any, prefix: str) -> Iterator[str]:
    children = _children(node, record)
    if children and len(prefix) >= 6 * DEEPEST:
        yield f"{prefix}└─ … and {_count(children, record)} deliveries further down"
        return
    for number, child in enumerate(children, 1):
        branch, trunk = ("└─ ", "   ") if number == len(children) else ("├─ ", "│  ")
        yield f"{prefix}{branch}{_label(child, home)}"
        yield from _below(child, record, home, prefix + trunk)


def _children(node: Reception | Delivery, record: Record) -> Sequence[Reception | Delivery]:
    """What is drawn below; a message that a nested bus takes as it was given is not drawn once more."""
    if isinstance(node, Reception):
        return record.receivers(node)
    children: list[Reception | Delivery] = []
    for taken in record.caused(node):
        handed_on = taken.message is node.message and taken.bus is not node.bus and not fate_notes(taken)
        children += record.receivers(taken) if handed_on else [taken]
    return children


def _count(nodes: Sequence[Reception | Delivery], record: Record) -> int:
    """The deliveries among these and below them; without recursion, because a chain can be long."""
    count, left = 0, list(nodes)
    while left:
        node = left.pop()
        count += isinstance(node, Delivery)
        left += _children(node, record)
    return count


def _label(node: Reception | Delivery, home: Any) -> str:
    if isinstance(node, Reception):
        return "  ".join([short_repr(node.message), *fate_notes(node)])
    where = "" if node.bus is home else f"{node.bus.name} > "
    took = [] if node.seconds is None else [format_duration(node.seconds)]
    return "  ".join([f"{where}{name_of(node.component)}", *took, *outcome_notes(node)])
