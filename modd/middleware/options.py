"""Options of a middleware, with values that may differ by message type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast

from modd.core import Message
from modd.cqrs.chain import Middleware
from modd.errors import InvalidOption, NoHandler

O = TypeVar("O")  # noqa: E741  # options


class Options(Generic[O]):
    """The options of a middleware: defaults for all types, and overrides for some.

    An override counts for subclasses of its type too; of several bases the nearest counts most. An explicit 0 or False
    is an override.

    shape: the typed dictionary that names the options. defaults: the values for all types. intents: overrides by type.
    check: raises `InvalidOption` for values that cannot work; it gets each set of options as it will be used.

    Raises: `InvalidOption`.
    """

    def __init__(
        self,
        middleware: str,
        shape: type[O],
        defaults: Mapping[str, Any],
        intents: Mapping[type[Message], Mapping[str, Any]] | None,
        check: Callable[[O], None] = lambda options: None,
    ) -> None:
        self._defaults = dict(defaults)
        self._intents = {kind: dict(overrides) for kind, overrides in checked_intents(middleware, intents).items()}
        self._merged: dict[type, O] = {}
        names = {name: None for base in reversed(shape.__mro__) for name in getattr(base, "__annotations__", {})}
        for kind, overrides in self._intents.items():
            _check_names(middleware, kind, overrides, names)
            check(self.of(kind))
        check(cast(O, self._defaults))

    def of(self, kind: type) -> O:
        """Return the options for a message type."""
        try:
            return self._merged[kind]
        except KeyError:
            merged = dict(self._defaults)
            for base in reversed(kind.__mro__):
                merged |= self._intents.get(base, {})
            self._merged[kind] = cast(O, merged)
            return self._merged[kind]

    @property
    def sets(self) -> list[O]:
        """Every set of options: the defaults, and those of each type with overrides."""
        return [self.of(kind) for kind in (Message, *self._intents)]

    def check_types(self, bus: Any) -> None:
        """Raise `NoHandler` for overrides of a type that the bus should handle but does not.

        Types of other kinds pass, so that an instance can serve a command bus and a query bus.
        """
        for kind in self._intents:
            if issubclass(kind, bus.kind) and not any(
                issubclass(each, kind) or issubclass(kind, each) for each in bus.types
            ):
                raise NoHandler(kind, bus.name, bus.types)


class MiddlewareWithOptions(Middleware):
    """Base of middleware with options that may differ by message type."""

    def __init__(
        self,
        shape: type[Any],
        defaults: Mapping[str, Any],
        intents: Mapping[type[Message], Mapping[str, Any]] | None,
        check: Callable[[Any], None] = lambda options: None,
    ) -> None:
        self._options: Options[Any] = Options(type(self).__name__, shape, defaults, intents, check)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)


def checked_intents(middleware: str, intents: Any) -> Mapping[Any, Mapping[str, Any]]:
    """Return the overrides by type, none for None. Raises `InvalidOption` unless they are a mapping of mappings."""
    if intents is None:
        return {}
    cure = "give a mapping from message type to a mapping of options: {Pay: {...}}"
    if not isinstance(intents, Mapping):
        raise InvalidOption(f"{middleware}(intents)", intents, cure)
    for kind, overrides in intents.items():
        if not isinstance(overrides, Mapping):
            option = f"{middleware}(intents={{{getattr(kind, '__qualname__', kind)}: ...}})"
            raise InvalidOption(option, overrides, cure)
    return intents


def _check_names(middleware: str, kind: Any, overrides: Mapping[str, Any], names: Iterable[str]) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        raise InvalidOption(f"{middleware}(intents=...)", kind, "give message types as keys")
    for name in overrides:
        if name not in names:
            option = f"{middleware}(intents={{{kind.__qualname__}: ...}})"
            raise InvalidOption(option, name, f"no such option; there are: {', '.join(names)}")
