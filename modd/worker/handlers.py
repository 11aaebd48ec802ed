"""The typed buses that a worker serves, and which of them handles what."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from modd.core import Bus, Message, Part, inside
from modd.cqrs.codec import Codec, codec_of
from modd.cqrs.enclosing import root_bus
from modd.cqrs.errors import WrongBus
from modd.cqrs.intents import Event, Query, with_derived
from modd.cqrs.typed_bus import TypedBus
from modd.errors import InvalidOption, MultipleHandlers, NoHandler
from modd.middleware.enqueue import BUS
from modd.worker.errors import DuplicateHandler


class Served:
    """The typed buses in what a worker is given: the one, or those inside a bus, to any depth, but for queries.

    Raises `InvalidOption`, `WrongBus`, `MultipleHandlers` for a command that two of them handle, `DuplicateHandler`.
    """

    def __init__(self, bus: Any) -> None:
        self.bus = bus
        self.name: str = getattr(bus, "name", "")
        self.buses = _typed_buses(bus)
        self._takers: dict[type[Message], list[Any]] = {}
        for kind in with_derived(self.types):
            self._check(kind)

    @property
    def types(self) -> tuple[type[Message], ...]:
        """The types that they handle."""
        return tuple(dict.fromkeys(kind for bus in self.buses for kind in bus.types))

    @property
    def codec(self) -> Codec:
        """Makes envelopes of all that they handle."""
        return self.bus.codec if isinstance(self.bus, TypedBus) else codec_of(self.buses)

    @property
    def strict(self) -> bool:
        """Whether an event without a handler is an error: where it is one for the bus of events alone."""
        return isinstance(self.bus, TypedBus) and self.bus.strict

    def of(self, kind: type[Message], headers: Mapping[str, str]) -> list[Any]:
        """Those that handle a type; of these the one that the message is for, if it says so."""
        found = self._takers.get(kind)
        if found is None:
            found = self._takers[kind] = self._takers_of(kind)
        name = headers.get(BUS)
        return found if name is None else [bus for bus in found if bus.name == name] or found

    def knows(self, handler: str) -> bool:
        """Whether there is a handler of events with this name."""
        events = (bus for bus in self.buses if bus.kind is Event)
        return any(handler in bus.handler_names(kind) for bus in events for kind in bus.types)

    def unhandled(self, kind: type[Message]) -> NoHandler:
        """The error for a type that none of them handles."""
        return NoHandler(kind, self.name, self.types)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the outermost bus around, and with it all inside, for as long as the block lasts; not what is open."""
        if self.bus.is_open:
            yield
            return
        async with root_bus(self.bus):
            yield

    def _takers_of(self, kind: type[Message]) -> list[Any]:
        return [bus for bus in self.buses if issubclass(kind, bus.kind) and bus.handler_names(kind)]

    def _check(self, kind: type[Message]) -> None:
        takers = self._takers_of(kind)
        if len(takers) > 1 and not issubclass(kind, Event):
            raise MultipleHandlers(kind, self.name, [bus.name for bus in takers])
        [(name, count), *_] = Counter(names_of(takers, kind)).most_common(1)
        if count > 1:
            raise DuplicateHandler(kind, name, self.name)


def names_of(buses: Iterable[Any], kind: type[Message]) -> list[str]:
    """The names of all handlers of a type in these buses."""
    return [name for bus in buses for name in bus.handler_names(kind)]


def _typed_buses(bus: Any) -> tuple[Any, ...]:
    if isinstance(bus, TypedBus):
        if issubclass(bus.kind, Query):
            raise WrongBus("a worker", bus.name, "who asks waits for the answer; serve commands and events")
        return (bus,)
    parts = inside(bus) if isinstance(bus, (Bus, Part)) else ()
    found = tuple(each for each in parts if isinstance(each, TypedBus) and not issubclass(each.kind, Query))
    if not found or not isinstance(bus, Bus):
        raise InvalidOption("bus", bus, "give a CommandBus, an EventBus, or a modd.Bus with some inside")
    return found
