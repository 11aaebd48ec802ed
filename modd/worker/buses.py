"""The typed buses that a worker serves, found by the type of a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from modd.core import Bus, Message, check_names, inside, wire_name
from modd.cqrs.codec import Codec, codec_of
from modd.cqrs.decodable import decodable
from modd.cqrs.enclosing import root_bus
from modd.cqrs.errors import WrongBus
from modd.cqrs.intents import Event, Query, with_derived
from modd.cqrs.typed_bus import TypedBus
from modd.cqrs.wire import BUS_HEADER
from modd.errors import InvalidOption, MultipleHandlers, NoHandler
from modd.worker.errors import DuplicateHandler


class ServedBuses:
    """The typed buses that a worker serves: a single one, or all inside a bus, to any depth, but for buses of queries.

    Raises: `InvalidOption`, `WrongBus`, `InvalidWiring` for two typed buses of one name, `MultipleHandlers` for a
    command that two buses handle, `DuplicateHandler`.
    """

    def __init__(self, bus: Any) -> None:
        self.bus = bus
        self.name: str = getattr(bus, "name", "")
        self.buses = _typed_buses(bus)
        check_names(root_bus(bus))
        self._buses_by_type: dict[type[Message], list[Any]] = {}
        for kind in with_derived(self.types):
            self._check(kind)

    @property
    def types(self) -> tuple[type[Message], ...]:
        """The types of message that the buses handle."""
        return tuple(dict.fromkeys(kind for bus in self.buses for kind in bus.types))

    @property
    def codec(self) -> Codec:
        """A codec for the envelopes of these types."""
        return self.bus.codec if isinstance(self.bus, TypedBus) else codec_of(self.buses)

    @property
    def may_emit(self) -> bool:
        """False if the handlers of the buses, and their middleware, are known to emit no event."""
        return any(bus.may_emit(Event) for bus in self.buses)

    def check_codec(self, codec: Any) -> None:
        """Raise `InvalidOption` if a codec lacks types that the buses handle: their messages would be left for ever.

        A type counts as known if the codec has a type derived from it, and if no plain codec can decode it: such a type
        may be for dispatches in this process alone.
        """
        known = getattr(codec, "versions", None)
        if known is None:  # a codec of another kind, which does not tell
            return
        missing = [kind for kind in self.types if not any(wire_name(each) in known for each in with_derived([kind]))]
        names = ", ".join(kind.__qualname__ for kind in decodable(missing))
        if names:
            cure = f"it does not know {names}, and {self.name} handles that: messages would stay in the queue"
            raise InvalidOption("codec", codec, f"{cure}; give Codec all types that the bus handles and emits")

    @property
    def strict(self) -> bool:
        """True if an event without a handler is an error, as a single event bus may say."""
        return isinstance(self.bus, TypedBus) and self.bus.kind is Event and self.bus.strict

    def find(self, kind: type[Message], headers: Mapping[str, str]) -> list[Any]:
        """Return the buses that handle a type; if the headers name one of these, that bus alone."""
        buses = self._buses_by_type.get(kind)
        if buses is None:
            buses = self._buses_by_type[kind] = self._buses_for(kind)
        name = headers.get(BUS_HEADER)
        return buses if name is None else [bus for bus in buses if bus.name == name] or buses

    def has_event_handler(self, name: str, bus: str | None) -> bool:
        """True if the event bus of this name, or with None any event bus, has a handler with this name."""
        events = (each for each in self.buses if each.kind is Event and bus in (None, each.name))
        return any(name in each.handler_names(kind) for each in events for kind in each.types)

    def no_handler_error(self, kind: type[Message]) -> NoHandler:
        """Return the error for a type that none of the buses handles."""
        return NoHandler(kind, self.name, self.types)

    def _buses_for(self, kind: type[Message]) -> list[Any]:
        return [bus for bus in self.buses if issubclass(kind, bus.kind) and bus.handler_names(kind)]

    def _check(self, kind: type[Message]) -> None:
        buses = self._buses_for(kind)
        if len(buses) > 1 and not issubclass(kind, Event):
            raise MultipleHandlers(kind, self.name, [bus.name for bus in buses])
        [(name, count), *_] = Counter(handler_names(buses, kind)).most_common(1)
        if count > 1:
            raise DuplicateHandler(kind, name, self.name)


def handler_names(buses: Iterable[Any], kind: type[Message]) -> list[str]:
    """Return the names of all handlers of a type in these buses."""
    return [name for bus in buses for name in bus.handler_names(kind)]


def _typed_buses(bus: Any) -> tuple[Any, ...]:
    """Return the command and event buses in a bus, itself included."""
    if isinstance(bus, TypedBus):
        if issubclass(bus.kind, Query):
            raise WrongBus(
                "a worker", bus.name, "the sender of a query waits for its result; serve commands and events"
            )
        return (bus,)
    parts = inside(bus) if isinstance(bus, Bus) else ()
    buses = tuple(part for part in parts if isinstance(part, TypedBus) and not issubclass(part.kind, Query))
    if not buses:
        raise InvalidOption("bus", bus, "give a CommandBus, an EventBus, or a modd.Bus with some inside")
    return buses
