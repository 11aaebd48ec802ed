"""Options of a middleware, and those that differ for some types (MI-13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast

from modd.core import Message
from modd.errors import InvalidOption, NoHandler

O = TypeVar("O")  # noqa: E741  # options


class Options(Generic[O]):
    """What a middleware was given: options for all types, and what differs for some.

    shape: the typed dictionary that names the options. given: those for all types. intents: by type, what differs; of
    several bases of a type the nearest counts most, and an explicit 0 or False counts. check: raises for values that
    cannot work; it sees each set of options as it will be used. Raises `InvalidOption`.
    """

    def __init__(
        self,
        middleware: str,
        shape: type[O],
        given: Mapping[str, Any],
        intents: Mapping[type[Message], Mapping[str, Any]] | None,
        check: Callable[[O], None] = lambda options: None,
    ) -> None:
        self._given = dict(given)
        self._intents = {kind: dict(differing) for kind, differing in checked_intents(middleware, intents).items()}
        self._merged: dict[type, O] = {}
        known = {name: None for base in reversed(shape.__mro__) for name in getattr(base, "__annotations__", {})}
        for kind, differing in self._intents.items():
            _check_names(middleware, kind, differing, known)
            check(self.of(kind))
        check(cast(O, self._given))

    def of(self, kind: type) -> O:
        """The options for a type of message."""
        try:
            return self._merged[kind]
        except KeyError:
            merged = dict(self._given)
            for base in reversed(kind.__mro__):
                merged |= self._intents.get(base, {})
            self._merged[kind] = cast(O, merged)
            return self._merged[kind]

    @property
    def types(self) -> tuple[type[Message], ...]:
        """The types for which something differs."""
        return tuple(self._intents)

    def check_types(self, bus: Any) -> None:
        """Raise `NoHandler` when something differs for a type of this bus's kind that it does not handle."""
        for kind in self._intents:
            if issubclass(kind, bus.kind) and not any(
                issubclass(known, kind) or issubclass(kind, known) for known in bus.types
            ):
                raise NoHandler(kind, bus.name, bus.types)


def checked_intents(middleware: str, given: Any) -> Mapping[Any, Mapping[str, Any]]:
    """What differs by type; for None nothing. Raises `InvalidOption` unless it is a mapping of mappings."""
    if given is None:
        return {}
    wanted = "give a mapping from message type to a mapping of options: {Pay: {...}}"
    if not isinstance(given, Mapping):
        raise InvalidOption(f"{middleware}(intents)", given, wanted)
    for kind, differing in given.items():
        if not isinstance(differing, Mapping):
            raise InvalidOption(
                f"{middleware}(intents={{{getattr(kind, '__qualname__', kind)}: ...}})", differing, wanted
            )
    return given


def _check_names(middleware: str, kind: Any, differing: Mapping[str, Any], known: Iterable[str]) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        raise InvalidOption(f"{middleware}(intents=...)", kind, "give message types as keys")
    for name in differing:
        if name not in known:
            option = f"{middleware}(intents={{{kind.__qualname__}: ...}})"
            raise InvalidOption(option, name, f"no such option; there are: {', '.join(known)}")
