"""The handlers of a typed bus, by message type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from modd.concurrency.blocks import block
from modd.core import Message, identity_of, name_of, unique, wire_name
from modd.cqrs.chain import Next
from modd.cqrs.errors import InvalidHandler, Sealed, WrongBus
from modd.cqrs.handlers import BoundHandler, types_of
from modd.cqrs.intents import Event
from modd.errors import DuplicateName, InvalidOption, NoHandler

Bound: TypeAlias = dict[tuple[tuple[int, ...], str], BoundHandler]
"""Handlers by the identity of their callable and by their name."""


class Registry:
    """The handlers of a typed bus by message type, with fakes in their place while an override lasts.

    bus: the name of the bus.
    kind: the base of the types that it takes.
    bind: makes a handler of a callable and a name.
    multiple: True if a type may have more than one handler.
    """

    def __init__(
        self, bus: str, kind: type[Message], bind: Callable[[Any, str | None], BoundHandler], *, multiple: bool
    ) -> None:
        self.bus, self._kind, self._bind, self._multiple = bus, kind, bind, multiple
        self._handlers: dict[type[Message], list[BoundHandler]] = {}
        self._bound: Bound = {}
        self._named: dict[str, type[Message]] = {}
        self._overrides: list[dict[type[Message], BoundHandler]] = []
        self._names: dict[type, tuple[str, ...]] = {}
        self.routes: dict[Any, Next] = {}
        """The chain of each type that was dispatched, and of each type with the name of its only handler to run."""
        self.sealed = False

    @property
    def types(self) -> tuple[type[Message], ...]:
        """The types with a handler of their own."""
        return tuple(self._handlers)

    @property
    def handlers(self) -> tuple[BoundHandler, ...]:
        """All handlers, each once."""
        return unique(handler for handlers in self._handlers.values() for handler in handlers)

    def add(self, kind: Any, function: Any, name: str | None = None) -> None:
        """Add a handler for a type. Raises `Sealed`, `WrongBus`, `DuplicateName`, `InvalidHandler`."""
        self.refuse_when_sealed("register handlers")
        self._check_type(kind)
        present = self._handlers.get(kind)
        if present and not self._multiple:
            reason = (
                f"{self.bus} has {present[0].name} for {kind.__qualname__}; give multiple=True to have more than one"
            )
            raise InvalidHandler(name or name_of(function), reason)
        handler = self._bind_once(function, name, self._bound)
        self._handlers.setdefault(kind, []).append(handler)
        self._named[wire_name(kind)] = kind
        self.forget_routes()

    def add_all(self, handlers: Mapping[Any, Any] | Iterable[Any]) -> None:
        """Add handlers by type, or for the types in the annotations of their first parameters."""
        if isinstance(handlers, Mapping):
            for kind, function in handlers.items():
                self.add(kind, function)
        else:
            for function in handlers:
                for kind in types_of(function):
                    self.add(kind, function)

    def find_type(self, kind: Any) -> type[Message]:
        """Return a handled type, given itself or its name on the wire. Raises `NoHandler`."""
        found: Any = self._named.get(kind) if isinstance(kind, str) else kind
        if not (isinstance(found, type) and issubclass(found, self.types)):
            raise NoHandler(kind, self.bus, self.types)
        return found

    def names_of(self, kind: type[Message]) -> tuple[str, ...]:
        """Return the names of the handlers of a type, in the order in which they run."""
        names = self._names.get(kind)
        if names is None:
            names = self._names[kind] = tuple(handler.name for handler in self.handlers_of(kind))
        return names

    def handlers_of(self, kind: type[Message]) -> list[BoundHandler]:
        """Return the handlers of a type, or of its nearest base that has any; for an event, those of all its bases.

        Each is there once: a handler of a type and of a base of it has its place, or its fake, at the nearer type.
        """
        found: list[BoundHandler] = []
        seen: set[int] = set()
        fakes = {kind: fake for override in self._overrides for kind, fake in override.items()}
        for base in kind.__mro__:
            own = [handler for handler in self._handlers.get(base, ()) if id(handler) not in seen]
            standing = [handler for handler in ([fakes[base]] if base in fakes else own) if id(handler) not in seen]
            seen.update(map(id, (*own, *standing)))
            found += standing
            if found and self._kind is not Event:
                break
        return found

    def handlers_named(self, name: str, kind: type[Message]) -> list[BoundHandler]:
        """Return the handlers of a type that have this name. Raises `InvalidOption` if there is none."""
        found = [handler for handler in self.handlers_of(kind) if handler.name == name]
        if not found:
            known = ", ".join(self.names_of(kind)) or "nothing"
            wanted = f"{kind.__qualname__} is handled in {self.bus} by: {known}"
            raise InvalidOption("OnlyHandler.handler", name, wanted)
        return found

    @block
    def override(self, fakes: Mapping[type[Message], Any]) -> Iterator[None]:
        """Have fakes handle some types in place of all their handlers while the block lasts. Raises `NoHandler`."""
        unknown = [kind for kind in fakes if kind not in self.types]
        if unknown:
            raise NoHandler(unknown[0], self.bus, self.types)
        bound: Bound = {}
        override = {kind: self._bind_once(fake, None, bound) for kind, fake in fakes.items()}
        self._overrides.append(override)
        self.forget_routes()
        try:
            yield
        finally:
            self._overrides = [each for each in self._overrides if each is not override]
            self.forget_routes()

    def forget_routes(self) -> None:
        """Have each type looked up anew at its next dispatch."""
        self.routes.clear()
        self._names.clear()

    def refuse_when_sealed(self, action: str) -> None:
        """Raise `Sealed` for a change after the bus was opened or used."""
        if self.sealed:
            raise Sealed(self.bus, action)

    def _bind_once(self, function: Any, name: str | None, bound: Bound) -> BoundHandler:
        """Return the handler of a callable and a name: the same one for each type that it is registered for."""
        key = identity_of(function), name or name_of(function)
        if key not in bound:
            bound[key] = self._bind(function, name)
        return bound[key]

    def _check_type(self, kind: Any) -> None:
        if not (isinstance(kind, type) and issubclass(kind, self._kind)):
            name = getattr(kind, "__qualname__", repr(kind))
            raise WrongBus(name, self.bus, f"it handles types derived from modd.cqrs.{self._kind.__name__}")
        known = self._named.get(wire_name(kind), kind)
        if known is not kind:
            raise DuplicateName(wire_name(kind), known, kind, self.bus)
