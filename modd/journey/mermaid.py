"""A journey as a Mermaid sequence diagram."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modd.core import Delivery, Message, name_of
from modd.journey.record import Reception, Record
from modd.journey.tree import fate_notes, outcome_notes, short_repr
from modd.texts import escape_mermaid


def render_sequence_diagram(record: Record, home: Any) -> str:
    """Return a diagram with an arrow for each delivery, from its cause to its receiver; each nested bus is a box.

    home: the bus of the journey, whose components stand outside of the boxes.
    """
    people = _Participants(home)
    steps = [step for root in record.roots if not root.deliveries for step in _fate(root, people)]
    for step, delivery in record.steps:
        steps += _begin(delivery, people) if step == "began" else _end(delivery, record, people)
    return "\n".join(["sequenceDiagram", *(f"    {line}" for line in (*people.lines(), *steps))])


class _Participants:
    """The sender and the components, each under a Mermaid name, in boxes by their bus."""

    def __init__(self, home: Any) -> None:
        self._names: dict[tuple[int, int], str] = {}
        self._home: list[str] = ["participant p0 as sender"]
        self._boxes: dict[int, list[str]] = {id(home): self._home}

    def name(self, delivery: Delivery | None) -> str:
        """Return the Mermaid name of the component of a delivery; that of the sender for None."""
        if delivery is None:
            return "p0"
        bus, key = delivery.bus, (id(delivery.bus), id(delivery.component))
        if key not in self._names:
            self._names[key] = f"p{len(self._names) + 1}"
            box = self._boxes.setdefault(id(bus), [f"box transparent {escape_mermaid(bus.name)}"])
            box.append(f"participant {self._names[key]} as {escape_mermaid(name_of(delivery.component))}")
        return self._names[key]

    def lines(self) -> Iterator[str]:
        """Yield their declarations; Mermaid has no box within a box."""
        for box in self._boxes.values():
            yield box[0]
            yield from (f"{'' if box is self._home else '    '}{line}" for line in box[1:])
            yield from () if box is self._home else ("end",)


def _begin(delivery: Delivery, people: _Participants) -> Iterator[str]:
    arrow = "->>" if delivery.outcome in ("done", "running") else "-x"
    yield f"{people.name(delivery.cause)}{arrow}{people.name(delivery)}: {_text(delivery.message)}"


def _end(delivery: Delivery, record: Record, people: _Participants) -> Iterator[str]:
    for text in outcome_notes(delivery):
        yield f"Note over {people.name(delivery)}: {escape_mermaid(text)}"
    for effect in record.effects_of(delivery):
        yield from _fate(effect, people)


def _fate(reception: Reception, people: _Participants) -> Iterator[str]:
    """Yield the fate of a message that no arrow of a delivery shows: an arrow if it left the bus, or a note."""
    if reception.leaves or reception.fate == "left":
        yield f"{people.name(reception.cause)}-->>{people.name(_entrance(reception))}: {_text(reception.message)}"
    elif notes := fate_notes(reception):
        yield f"Note over {people.name(reception.cause)}: {_text(reception.message)} {escape_mermaid(', '.join(notes))}"


def _entrance(reception: Reception) -> Delivery | None:
    """Return the delivery that began the turn in which a message was received; None for a sender outside."""
    cause = reception.cause
    while cause is not None and cause.bus is reception.bus:
        cause = cause.cause
    return cause


def _text(message: Message) -> str:
    return escape_mermaid(short_repr(message, 60))
