"""A journey as a tree of text, and the short texts that both the tree and the diagram use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modd.core import Delivery, Failure, error_repr, name_of, shown
from modd.journey.record import Reception, Record
from modd.texts import amount

DEEPEST = 50
"""Levels that are drawn; deliveries further down are counted only."""


_UNITS = ((0.9995e-6, 1e-9, "ns", 0), (0.9995e-3, 1e-6, "µs", 0), (0.9995, 1e-3, "ms", 9.95), (59.5, 1.0, "s", 9.95))
"""For each unit: the duration up to which it is used, its seconds, its name, the count up to which it has a decimal."""


def format_duration(seconds: float) -> str:
    """Return a duration in a readable unit: ``41 µs``, ``1.2 ms``, ``35 ms``, ``2.5 s``, ``3 min 20 s``."""
    for below, unit, name, decimal_below in _UNITS:
        if seconds < below:
            count = seconds / unit
            return f"{count:.{int(count < decimal_below)}f} {name}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def short_repr(value: object, most: int = 100) -> str:
    """Return the repr of a message in one line, cut to ``most`` characters; it never raises."""
    if isinstance(value, Failure):
        return shorten(f"Failure({error_repr(value.error, value.message)})", most)
    return shorten(shown(value), most)


def shorten(text: str, most: int = 100) -> str:
    """Return a text in one line, cut to ``most`` characters."""
    line = " ".join(text.splitlines())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def fate_notes(reception: Reception) -> list[str]:
    """Return notes on the fate of a message, where its deliveries do not show it."""
    left = [f"left {reception.bus.name}"] if reception.leaves or reception.fate == "left" else []
    fate = {"queued": ["still queued"], "received": [], "left": []}.get(reception.fate, [reception.fate])
    return [*fate, *left]


def outcome_notes(delivery: Delivery) -> list[str]:
    """Return notes on a delivery that did not end well."""
    if delivery.error is not None and delivery.outcome == "failed":
        return [f"failed: {shorten(error_repr(delivery.error, delivery.message))}"]
    return [] if delivery.outcome == "done" else [delivery.outcome]


def render_tree(record: Record, home: Any) -> str:
    """Return every message from outside, below it its receivers, and below each of these the messages it caused.

    home: the bus of the journey; components of other buses are shown with the name of their bus.
    """
    return "\n".join(line for root in record.roots for line in (_label(root, home), *_below(root, record, home, "")))


def _below(node: Reception | Delivery, record: Record, home: Any, prefix: str) -> Iterator[str]:
    children = _children(node, record)
    if children and len(prefix) >= 6 * DEEPEST:
        more = amount(_count(children, record), "delivery", "deliveries")
        yield f"{prefix}└─ … and {more} further down"
        return
    for number, child in enumerate(children, 1):
        branch, trunk = ("└─ ", "   ") if number == len(children) else ("├─ ", "│  ")
        yield f"{prefix}{branch}{_label(child, home)}"
        yield from _below(child, record, home, prefix + trunk)


def _children(node: Reception | Delivery, record: Record) -> Sequence[Reception | Delivery]:
    """Return the nodes below a node; a message that is passed on to a nested bus is not drawn a second time."""
    if isinstance(node, Reception):
        return record.deliveries_of(node)
    children: list[Reception | Delivery] = []
    for effect in record.effects_of(node):
        is_passed_on = effect.message is node.message and effect.bus is not node.bus and not fate_notes(effect)
        children += record.deliveries_of(effect) if is_passed_on else [effect]
    return children


def _count(nodes: Sequence[Reception | Delivery], record: Record) -> int:
    """Count the deliveries in a forest; without recursion, because a chain can be long."""
    count, left = 0, list(nodes)
    while left:
        node = left.pop()
        count += isinstance(node, Delivery)
        left += _children(node, record)
    return count


def _label(node: Reception | Delivery, home: Any) -> str:
    if isinstance(node, Reception):
        return "  ".join([short_repr(node.message), *fate_notes(node)])
    bus = "" if node.bus is home else f"{node.bus.name} > "
    duration = [] if node.seconds is None else [format_duration(node.seconds)]
    return "  ".join([f"{bus}{name_of(node.component)}", *duration, *outcome_notes(node)])
