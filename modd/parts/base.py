"""What the parts share: a name to be read in errors and journeys, and what a part accepts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar

from modd.checks import checked_subclasses
from modd.core import Accepts, Component, Failure, Message, Part, name_of
from modd.errors import InvalidOption

Types: TypeAlias = type[Message] | Iterable[type[Message]]
"""A message type, or several."""


A = TypeVar("A")


def checked_types(option: str, value: Any, *, least: int = 1) -> tuple[type[Message], ...]:
    """Return one or several message types as a tuple without duplicates. Raises `InvalidOption`."""
    return checked_subclasses(option, value, Message, single=True, least=least, unique=True)


def checked_function(option: str, given: Any, arguments: int = 1, *, sync: bool = True) -> Callable[..., Any]:
    """A function of so many arguments, one that need not be awaited if ``sync``. Raises `InvalidOption`."""
    if not callable(given):
        raise InvalidOption(option, given, "give a function")
    if sync and is_async(given):
        raise InvalidOption(option, given, "give a function that is not async; it is asked in the middle of a turn")
    try:
        inspect.signature(given).bind(*[None] * arguments)
    except TypeError as error:
        raise InvalidOption(option, given, f"give a function of {arguments} arguments ({error})") from None
    except ValueError:  # some builtins tell nothing of their parameters
        pass
    function: Callable[..., Any] = given
    return function


def is_async(function: Any) -> bool:
    """Whether calling it gives a coroutine or an async generator."""
    called = (function, type(function).__call__)
    return any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in called)


def at_once(option: str, function: object, answer: A) -> A:
    """The answer of a function that must not be async: a coroutine would count as true and as always another."""
    if isinstance(answer, CoroutineType):
        answer.close()
        raise InvalidOption(option, function, "it gave a coroutine; give a function that answers without await")
    return answer


class NamedPart(Part):
    """A part that is called after what it is made of: ``Filter(cart)``, ``Merge(Ordered, Paid)``."""

    def __init__(self, *components: Component, of: Iterable[Any]) -> None:
        super().__init__(*components)
        names = [kind.__name__ if isinstance(kind, type) else name_of(kind) for kind in of]
        self.name = f"{type(self).__name__}({', '.join(names)})" if names else type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Narrowed(Accepts, frozen=True):
    """What another accepts, as far as it is allowed and not denied."""

    whole: Accepts = Accepts()
    allow: tuple[type[Message], ...] = ()
    deny: tuple[type[Message], ...] = ()

    def takes(self, kind: type) -> bool:
        """Whether a message of this type is given to the component."""
        return self.whole.takes(kind) and issubclass(kind, self.allow) and not issubclass(kind, self.deny)


def narrowed(whole: Accepts, allow: tuple[type[Message], ...], deny: tuple[type[Message], ...]) -> Narrowed:
    """The same with fewer types. ``Failure`` is only among them if it was: to see failures is not to handle them."""
    offered: tuple[type[Message], ...] = (*whole.types, Message) if whole.everything else whole.types
    common = [_narrower(t, a) for t in offered for a in allow if issubclass(a, t) or issubclass(t, a)]
    types = tuple(
        kind
        for kind in dict.fromkeys(common)
        if kind is not Message and not issubclass(kind, deny) and (kind is not Failure or whole.handles_failures)
    )
    return Narrowed(types, whole.everything and Message in allow, whole.catches, whole, allow, deny)


def _narrower(one: type[Message], other: type[Message]) -> type[Message]:
    return one if issubclass(one, other) else other


class Widened(Accepts, frozen=True):
    """What another accepts, and types that are seen besides: a failure among them is not handled by that."""

    seen: tuple[type[Message], ...] = ()

    def takes(self, kind: type) -> bool:
        """Whether a message of this type is given to the component."""
        return issubclass(kind, self.seen) or super().takes(kind)


def widened(whole: Accepts, seen: tuple[type[Message], ...]) -> Widened:
    """The same with types that are seen besides."""
    more = tuple(kind for kind in seen if kind is not Failure and kind not in whole.types)
    return Widened((*whole.types, *more), whole.everything, whole.catches, seen)
