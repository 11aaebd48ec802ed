"""Options of parts, checked when the part is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar

from modd.errors import InvalidOption
from modd.message import Message

Types: TypeAlias = type[Message] | Iterable[type[Message]]
"""A message type, or several."""

A = TypeVar("A")


def checked_types(option: str, given: Any, *, least: int = 1) -> tuple[type[Message], ...]:
    """One or several message types, each once. Raises `InvalidOption`."""
    listed = isinstance(given, Iterable) and not isinstance(given, (str, bytes, type))
    types: tuple[Any, ...] = tuple(given) if listed else (given,)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise InvalidOption(option, given, "give a message type, or a list of them")
    if len(types) < least:
        raise InvalidOption(option, given, f"name at least {least} message type{'s' * (least > 1)}")
    if len(set(types)) < len(types):
        raise InvalidOption(option, given, "name each message type once")
    return types


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
