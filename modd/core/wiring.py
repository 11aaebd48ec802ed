"""The check of the wiring of a bus: faults that show before a message is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec

from modd.core.answerer import Answerer
from modd.core.component import name_of
from modd.core.identity import unique
from modd.core.naming import UNNAMED, parts_with_place
from modd.errors import InvalidWiring


class Finding(msgspec.Struct, frozen=True):
    """A fault in the wiring of a bus, as `Bus.check` returns it.

    text: the fault. cure: the change that mends it. error: True if the bus cannot be opened with it; False, the
    default, for a warning in the log.
    """

    text: str
    cure: str
    error: bool = False

    def __str__(self) -> str:
        return f"{self.text}; {self.cure}"


def findings_in(bus: Any) -> tuple[Finding, ...]:
    """Return the faults in the wiring of a bus and of all buses inside; see `Bus.check`."""
    return (*_same_names(bus),)


def check_on_opening(bus: Any) -> None:
    """Log each finding as a warning. Raises `InvalidWiring` for findings with which a bus cannot be opened."""
    found = findings_in(bus)
    _refuse(bus, found)
    for finding in found:
        logging.getLogger("modd").warning("%s: %s", bus.name, finding)


def check_names(bus: Any) -> None:
    """Raise `InvalidWiring` if two typed buses, or two contexts of one bus, have the same name."""
    _refuse(bus, (*_same_names(bus),))


def _refuse(bus: Any, found: tuple[Finding, ...]) -> None:
    errors = tuple(finding for finding in found if finding.error)
    if errors:
        raise InvalidWiring(bus.name, errors)


def _same_names(bus: Any) -> Iterator[Finding]:
    """Find typed buses of one name, and contexts of one name side by side: a name is part of keys and of errors."""
    places = {id(part): place for part, place in reversed([*parts_with_place(bus)])}
    typed: dict[str, list[str]] = {}
    contexts: dict[tuple[str, str], list[str]] = {}
    for part in unique(part for part, _ in parts_with_place(bus)):
        if isinstance(part, Answerer):
            typed.setdefault(part.name, []).append(f"{part!r} in {places[id(part)]}")
        elif part.is_bus and name_of(part) != UNNAMED:
            contexts.setdefault((places[id(part)], name_of(part)), []).append(repr(part))
    cure = "give each a name of its own, or leave `name` out and put each into a context with a name of its own"
    for name, buses in typed.items():
        if len(buses) > 1:
            yield Finding(f"{len(buses)} typed buses are named {name!r}: {' and '.join(buses)}", cure, error=True)
    for (place, name), buses in contexts.items():
        if len(buses) > 1:
            text = f"{len(buses)} contexts in {place} are named {name!r}: {' and '.join(buses)}"
            yield Finding(text, "give each a name of its own", error=True)
