"""The types that a bus handles, for those who let others send them."""

from __future__ import annotations

from typing import Any

from modd.core import Bus, answerers_in
from modd.cqrs.typed_bus import TypedBus


def is_handled(bus: Bus | TypedBus, kind: type) -> bool:
    """True if messages of a type that are sent to a bus get to a handler."""
    parts: Any = (bus,) if isinstance(bus, TypedBus) else answerers_in(bus, kind)
    return any(issubclass(kind, part.kind) and part.handler_names(kind) for part in parts)


def handled_types(bus: Bus | TypedBus) -> set[type]:
    """Return the types that the handlers of a bus are registered for, those of nested contexts included."""
    parts: Any = (bus,) if isinstance(bus, TypedBus) else answerers_in(bus)
    return {kind for part in parts for kind in part.types}
