"""Names of buses by their place: ``billing.events`` is the event bus in the context ``billing``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modd.core.component import Part, name_of

UNNAMED = "bus"
"""The name of a bus that was given none; it is not part of the names of what is inside."""


def placed_name(part: Part, name: str) -> str:
    """Return a name with the contexts around a part in front; of several places, the one that it was put into first."""
    around = part.around
    return name_inside(around[0], name) if around else name


def name_inside(part: Part, name: str) -> str:
    """Return a name with a part and the contexts around it in front, the outermost first, joined by dots.

    The outermost bus is the application and no context; a bus without a name is left out.
    """
    names: list[str] = []
    place: tuple[Part, ...] = (part,)
    while place:
        if place[0].is_bus:
            names.append(name_of(place[0]))
        place = place[0].around
    return ".".join((*(each for each in names[-2::-1] if each != UNNAMED), name))


def parts_with_place(bus: Part, place: Sequence[str] = ()) -> Iterator[tuple[Part, str]]:
    """Yield every part inside a bus, depth first, with the names of the buses that it is found in."""
    place = (*place, name_of(bus)) if bus.is_bus else place
    for component in bus.components:
        if isinstance(component, Part):
            yield component, " > ".join(place)
            yield from parts_with_place(component, place)
