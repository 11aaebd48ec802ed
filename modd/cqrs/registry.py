"""What a typed bus is made of: handlers by type, middleware, and what handlers get besides the intent."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from modd.checks import checked_name
from modd.core import Accepts, Answerer, IntentOf, Message, name_of, wire_name
from modd.cqrs.chain import Route, check_middleware, check_order
from modd.cqrs.codec import Codec, codec_of
from modd.cqrs.errors import InvalidHandler, Sealed, WrongBus
from modd.cqrs.handlers import Handler, Resources, bound, types_of
from modd.cqrs.intents import Event, created
from modd.errors import DuplicateName, InvalidOption, NoHandler

R = TypeVar("R")


class Registry(Answerer):
    """The still part of a typed bus: everything but its dispatches."""

    kind: ClassVar[type[Message]]
    """What it takes: commands, queries or events."""
    default_name: ClassVar[str]

    def __init__(
        self,
        handlers: Iterable[Any] | Mapping[Any, Any],
        *,
        middleware: Iterable[Any],
        resources: Resources | None,
        name: str | None,
        several: bool,
    ) -> None:
        super().__init__()
        self.name = checked_name(self.default_name if name is None else name)
        self.several = several
        self._resources = _checked_resources(resources)
        self._registered: list[tuple[type[Message], Handler]] = []
        self._middleware: list[Any] = []
        self._overrides: list[dict[type[Message], Handler]] = []
        self._routes: dict[Any, Route] = {}
        """How to handle a type, or a type by one handler, as soon as that may be done without any further question."""
        self._names: dict[type, tuple[str, ...]] = {}
        self._sealed = False
        for option, given in (("middleware", middleware), ("handlers", handlers)):
            if callable(given) or not isinstance(given, Iterable):
                raise InvalidOption(option, given, "give a list")
        self.use(*middleware)
        for given in handlers.items() if isinstance(handlers, Mapping) else handlers:
            kinds, handler = ((given[0],), given[1]) if isinstance(handlers, Mapping) else (types_of(given), given)
            for kind in kinds:
                self._add(kind, handler)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(kind.__qualname__ for kind in self.types)}>"

    @property
    def types(self) -> tuple[type[Message], ...]:
        """The types that it handles."""
        return tuple(dict.fromkeys(kind for kind, _ in self._registered))

    @property
    def middleware(self) -> tuple[Any, ...]:
        """The middleware, the first one outermost."""
        return tuple(self._middleware)

    @property
    def accepts(self) -> Accepts:
        """What a surrounding bus gives to it: the types that it handles."""
        return Accepts(self.types, catches=False)

    def use(self, *middleware: Any) -> None:
        """Add middleware, further in than what is there. Raises `InvalidMiddleware`, `WrongBus`, `Sealed`."""
        self._refuse_when_sealed("add middleware")
        for each in middleware:
            check_middleware(each)
            if hasattr(each, "bind"):
                each.bind(self)
            self._middleware.append(each)

    def create(self, kind: type[Message] | str, data: Any) -> Any:
        """An intent from raw data (a mapping, or JSON); ``kind`` is its type or its name on the wire.

        Raises `NoHandler` for a type that this bus does not handle, and `InvalidIntent` for data that does not fit.
        """
        names: dict[Any, Any] = {wire_name(known): known for known in self.types}
        wanted = names.get(kind) if isinstance(kind, str) else kind
        if not (isinstance(wanted, type) and issubclass(wanted, self.types)):
            raise NoHandler(kind, self.name, self.types)
        return created(wanted, data)

    @property
    def codec(self) -> Codec:
        """Makes bytes of envelopes with its types, and with the stamps that its middleware add."""
        return codec_of([self])

    def handler_names(self, kind: type[Message]) -> tuple[str, ...]:
        """The names of the handlers that a message of this type gets to, in their order; for a worker, and `For`."""
        names = self._names.get(kind)
        if names is None:
            names = self._names[kind] = tuple(handler.name for handler in self._handlers_of(kind))
        return names

    def check(self) -> None:
        """Check what can only be checked when all is there, and refuse changes from now on.

        Raises `UnsafeOrder`, and whatever a middleware finds wrong with its types and options.
        """
        check_order(self._middleware, self.name)
        for each in self._middleware:
            if hasattr(each, "check"):
                each.check(self)
        self._sealed = True

    @contextmanager
    def override(self, handlers: Mapping[type[Message], Any]) -> Iterator[None]:
        """Have fakes handle some of its types for as long as the block lasts, in place of all their handlers."""
        unknown = [kind for kind in handlers if kind not in self.types]
        if unknown:
            raise NoHandler(unknown[0], self.name, self.types)
        fakes = {kind: self._bound(fake, None) for kind, fake in handlers.items()}
        self._overrides.append(fakes)
        self._forget_ways()
        try:
            yield
        finally:
            self._overrides = [each for each in self._overrides if each is not fakes]
            self._forget_ways()

    @abstractmethod
    async def _ask_around(self, intent: IntentOf[R], /, *stamps: Any) -> R:
        """What handlers get that ask."""

    def _add(self, kind: Any, handler: Any, name: str | None = None) -> None:
        self._refuse_when_sealed("register handlers")
        if not (isinstance(kind, type) and issubclass(kind, self.kind)):
            given = getattr(kind, "__qualname__", repr(kind))
            raise WrongBus(given, self.name, f"it handles types derived from modd.cqrs.{self.kind.__name__}")
        for other in self.types:
            if other is not kind and wire_name(other) == wire_name(kind):
                raise DuplicateName(wire_name(kind), other, kind, self.name)
        known = [handler for registered, handler in self._registered if registered is kind]
        if known and not self.several:
            reason = f"{self.name} has {known[0].name} for {kind.__qualname__}; give several=True if more are meant"
            raise InvalidHandler(name or name_of(handler), reason)
        self._registered.append((kind, self._bound(handler, name)))
        self._forget_ways()
        self.renew()

    def _bound(self, handler: Any, name: str | None) -> Handler:
        return bound(handler, name, self._resources, self._ask_around)

    def _forget_ways(self) -> None:
        self._routes.clear()
        self._names.clear()

    def _refuse_when_sealed(self, what: str) -> None:
        if self._sealed:
            raise Sealed(self.name, what)

    def _handlers_of(self, kind: type[Message]) -> list[Handler]:
        """Those of the type itself, or else of the nearest base that has any; of an event, those of all its bases."""
        found: list[Handler] = []
        fakes = {kind: fake for override in self._overrides for kind, fake in override.items()}
        for base in kind.__mro__:
            here = [handler for registered, handler in self._registered if registered is base]
            found += [fakes[base]] if base in fakes else here
            if found and self.kind is not Event:
                break
        return found

    def _handlers_named(self, name: str, kind: type[Message]) -> list[Handler]:
        found = [handler for handler in self._handlers_of(kind) if handler.name == name]
        if not found:
            known = ", ".join(self.handler_names(kind)) or "nothing"
            raise InvalidOption("For.handler", name, f"{kind.__qualname__} is handled in {self.name} by: {known}")
        return found


def _checked_resources(given: Any) -> Resources:
    if given is not None and not isinstance(given, Mapping):
        raise InvalidOption("resources", given, "give a mapping from type to value or factory")
    return dict(given or {})
