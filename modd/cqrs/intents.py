"""Commands, queries and events (MI-1)."""

from __future__ import annotations

from typing import Any, ForwardRef, TypeVar, get_args, get_origin, get_type_hints

from modd.message import Intent, Message

R = TypeVar("R")


class Command(Intent[R]):
    """Asks for a change: ``class CreateUser(Command[int]): name: str`` is handled once, and results in an ``int``.

    A command without a result is a ``Command[None]``.
    """


class Query(Intent[R]):
    """Asks for information and changes nothing: ``class GetUser(Query[User]): id: int``."""


class Event(Message):
    """Says what has happened; any number of handlers may take it: ``class UserCreated(Event): id: int``."""


def result_type(kind: type) -> Any:
    """The type of an intent's result; ``Any`` where none was given. Raises ``NameError`` for one that is not there."""
    result = _argument(kind, {})
    if isinstance(result, ForwardRef):
        holder = type("holder", (), {"__annotations__": {"result": result}, "__module__": kind.__module__})
        result = get_type_hints(holder, include_extras=True)["result"]
    return type(None) if result is None else Any if isinstance(result, TypeVar) else result


def _argument(kind: Any, given: dict[Any, Any]) -> Any:
    """What stands for the result type in a class, where its own type variables have been given these types."""
    if kind is Intent:
        return next(iter(given.values()), Any)
    for base in vars(kind).get("__orig_bases__", kind.__bases__):
        origin = get_origin(base) or base
        if isinstance(origin, type) and issubclass(origin, Intent):
            arguments = [_filled(hint, given) for hint in get_args(base)]
            variables = getattr(origin, "__parameters__", ())
            return _argument(origin, dict(zip(variables, arguments or [Any] * len(variables), strict=True)))
    return Any


def _filled(hint: Any, given: dict[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return given.get(hint, Any)
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple(given.get(variable, Any) for variable in variables)] if variables else hint
