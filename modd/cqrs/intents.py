"""Commands, queries and events (MI-1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ForwardRef, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from modd.core import Intent, Message, misfit_of, unknown_fields, wire_name
from modd.cqrs.errors import InvalidIntent

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


def create_intent(kind: type[Message], data: Any) -> Message:
    """An intent from a mapping, or from JSON as text or bytes; raises `InvalidIntent`, for unknown fields too."""
    try:
        if isinstance(data, (str, bytes, bytearray, memoryview)):
            intent, raw = msgspec.json.decode(data, type=kind), msgspec.json.decode(data)
        else:
            intent, raw = msgspec.convert(data, kind, str_keys=True), data
    except msgspec.ValidationError as error:
        raise InvalidIntent(kind, [misfit_of(error, "$")]) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidIntent(kind, [("$", str(error))]) from error
    unknown = [(path, "unknown field") for path in unknown_fields(intent, raw)]
    if unknown:
        raise InvalidIntent(kind, unknown)
    return intent


def with_derived(types: Iterable[type[Message]]) -> list[type[Message]]:
    """The types and those derived from them, which have the same handlers; of one wire name the first."""
    named: dict[str, type[Message]] = {}
    ways = [*types]
    while ways:
        kind = ways.pop(0)
        named.setdefault(wire_name(kind), kind)
        ways += kind.__subclasses__()
    return [*named.values()]
