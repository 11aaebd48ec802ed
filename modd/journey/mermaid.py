"""A journey as a Mermaid sequence diagram."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from modd.core import Delivery, Message, name_of
from modd.journey.record import Reception, Record
from modd.journey.tree import fate_notes, outcome_notes, short_repr

_PLAIN = frozenset(" ._-()[]'=,/|")
"""What Mermaid takes as it is, besides letters and digits."""


def render_sequence_diagram(record: Record, home: Any) -> str:
    """One arrow for each delivery, from who caused it to who received it; each nested bus is a box."""
    people = _Participants(home)
    steps = [step for taken in record.roots if not taken.deliveries for step in _fate(taken, people)]
    for step, delivery in record.steps:
        steps += _begin(delivery, people) if step == "began" else _end(delivery, record, people)
    return "\n".join(["sequenceDiagram", *(f"    {line}" for line in (*people.lines(), *steps))])


class _Participants:
    """The sender and the components, each with a name of its own for Mermaid; in boxes by their bus."""

    def __init__(self, home: Any) -> None:
        self._names: dict[tuple[int, int], str] = {}
        self._home: list[str] = ["participant p0 as sender"]
        self._boxes: dict[int, list[str]] = {id(home): self._home}

    def of(self, delivery: Delivery | None) -> str:
        """Who sends what is caused by a delivery: its component, or the sender outside."""
        if delivery is None:
            return "p0"
        bus, key = delivery.bus, (id(delivery.bus), id(delivery.component))
        if key not in self._names:
            self._names[key] = f"p{len(self._names) + 1}"
            box = self._boxes.setdefault(id(bus), [f"box transparent {_escaped(bus.name)}"])
            box.append(f"participant {self._names[key]} as {_escaped(name_of(delivery.component))}")
        return self._names[key]

    def lines(self) -> Iterator[str]:
        """Their declarations; Mermaid has no box within a box."""
        for box in self._boxes.values():
            yield box[0]
            yield from (f"{'' if box is self._home else '    '}{line}" for line in box[1:])
            yield from () if box is self._home else ("end",)


def _begin(delivery: Delivery, people: _Participants) -> Iterator[str]:
    arrow = "->>" if delivery.outcome in ("done", "running") else "-x"
    yield f"{people.of(delivery.cause)}{arrow}{people.of(delivery)}: {_text(delivery.message)}"


def _end(delivery: Delivery, record: Record, people: _Participants) -> Iterator[str]:
    for text in outcome_notes(delivery):
        yield f"Note over {people.of(delivery)}: {_escaped(text)}"
    for taken in record.caused(delivery):
        yield from _fate(taken, people)


def _fate(taken: Reception, people: _Participants) -> Iterator[str]:
    """What became of a message, where no arrow shows it: it left the bus, or a note tells."""
    if taken.leaves or taken.fate == "left":
        yield f"{people.of(taken.cause)}-->>{people.of(_entrance(taken))}: {_text(taken.message)}"
    elif texts := fate_notes(taken):
        yield f"Note over {people.of(taken.cause)}: {_text(taken.message)} {', '.join(texts)}"


def _entrance(taken: Reception) -> Delivery | None:
    """The delivery with which the turn of a message's bus was begun; None when the sender outside began it."""
    up = taken.cause
    while up is not None and up.bus is taken.bus:
        up = up.cause
    return up


def _text(message: Message) -> str:
    return _escaped(short_repr(message, 60))


def _escaped(text: str) -> str:
    """Text with what means something to Mermaid as character codes; so has the word ``end``."""
    codes = (char if char.isalnum() or char in _PLAIN else f"#{ord(char)};" for char in text)
    return re.sub(r"\be(?=nd\b)", "#101;", "".join(codes))
