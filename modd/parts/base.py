"""The base of the parts: names for errors and journeys, checks of options, and wider or narrower `Accepts`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar

from modd.checks import checked_subclasses
from modd.core import Accepts, Component, Failure, Message, Part, name_of
from modd.errors import InvalidOption
from modd.texts import amount

Types: TypeAlias = type[Message] | Iterable[type[Message]]
"""One message type or several."""


A = TypeVar("A")


def checked_message_types(option: str, value: Any, *, least: int = 1) -> tuple[type[Message], ...]:
    """Return one or several message types as a tuple without duplicates. Raises `InvalidOption`."""
    return checked_subclasses(option, value, Message, single=True, least=least, unique=True)


def checked_function(option: str, value: Any, arguments: int = 1, *, sync: bool = True) -> Callable[..., Any]:
    """Return a function that takes a number of arguments, and is not async if ``sync``. Raises `InvalidOption`."""
    if not callable(value):
        raise InvalidOption(option, value, "give a function")
    if sync and is_async(value):
        raise InvalidOption(option, value, "give a function that is not async; it is called in the middle of a turn")
    try:
        inspect.signature(value).bind(*[None] * arguments)
    except TypeError as error:
        raise InvalidOption(option, value, f"give a function of {amount(arguments, 'argument')} ({error})") from None
    except ValueError:  # some builtins have no signature
        pass
    function: Callable[..., Any] = value
    return function


def is_async(function: Any) -> bool:
    """True if a call of the function returns a coroutine or an async generator."""
    called = (function, type(function).__call__)
    return any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in called)


def require_sync(option: str, function: object, result: A) -> A:
    """Return the result of a function that must not be async. Raises `InvalidOption` for a coroutine.

    A coroutine would be true and different from every other value, whatever it returns.
    """
    if isinstance(result, CoroutineType):
        result.close()
        raise InvalidOption(option, function, "it returned a coroutine; give a function that is not async")
    return result


class NamedPart(Part):
    """A part with a name made of its type and its components or types: ``Filter(cart)``, ``Merge(Ordered, Paid)``."""

    def __init__(self, *components: Component, of: Iterable[Any]) -> None:
        super().__init__(*components)
        names = [kind.__name__ if isinstance(kind, type) else name_of(kind) for kind in of]
        self.name = f"{type(self).__name__}({', '.join(names)})" if names else type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name}>"


class NarrowedAccepts(Accepts, frozen=True):
    """Another `Accepts`, limited to the types in ``allow`` without those in ``deny``."""

    whole: Accepts = Accepts()
    allow: tuple[type[Message], ...] = ()
    deny: tuple[type[Message], ...] = ()

    def takes(self, kind: type) -> bool:
        """True if the component gets messages of this type."""
        return self.whole.takes(kind) and issubclass(kind, self.allow) and not issubclass(kind, self.deny)


def narrow(whole: Accepts, allow: tuple[type[Message], ...], deny: tuple[type[Message], ...]) -> NarrowedAccepts:
    """Return an `Accepts` with fewer types.

    ``Failure`` stays only if ``whole`` names it: a catch-all sees failures, but does not handle them.
    """
    offered: tuple[type[Message], ...] = (*whole.types, Message) if whole.everything else whole.types
    common = [_narrower(t, a) for t in offered for a in allow if issubclass(a, t) or issubclass(t, a)]
    types = tuple(
        kind
        for kind in dict.fromkeys(common)
        if kind is not Message and not issubclass(kind, deny) and (kind is not Failure or whole.handles_failures)
    )
    return NarrowedAccepts(types, whole.everything and Message in allow, whole.catches, whole, allow, deny)


def _narrower(first: type[Message], second: type[Message]) -> type[Message]:
    return first if issubclass(first, second) else second


class WidenedAccepts(Accepts, frozen=True):
    """Another `Accepts` with more types, which are only seen: a failure among them is not handled."""

    seen: tuple[type[Message], ...] = ()

    def takes(self, kind: type) -> bool:
        """True if the component gets messages of this type."""
        return issubclass(kind, self.seen) or super().takes(kind)


def widen(whole: Accepts, seen: tuple[type[Message], ...]) -> WidenedAccepts:
    """Return an `Accepts` with more types, which are only seen."""
    added = tuple(kind for kind in seen if kind is not Failure and kind not in whole.types)
    return WidenedAccepts((*whole.types, *added), whole.everything, whole.catches, seen)
