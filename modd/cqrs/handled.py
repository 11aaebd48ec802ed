"""The question if a bus handles a type, for those who let others send it."""

from __future__ import annotations

from typing import Any

from modd.core import Bus, answerers_in
from modd.cqrs.typed_bus import TypedBus


def is_handled(bus: Bus | TypedBus, kind: type) -> bool:
    """True if messages of a type that are sent to a bus get to a handler."""
    parts: Any = (bus,) if isinstance(bus, TypedBus) else answerers_in(bus, kind)
    return any(issubclass(kind, part.kind) and part.handler_names(kind) for part in parts)
