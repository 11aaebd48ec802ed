"""Commands, queries and events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ForwardRef, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from modd.core import Intent, Message, mask_values, misfit_of, substitute, unknown_fields, wire_name
from modd.cqrs.errors import InvalidIntent

R = TypeVar("R")


class Command(Intent[R]):
    """A request for a change: ``class CreateUser(Command[int]): name: str`` is handled once, with an ``int`` as result.

    A command without a result is a ``Command[None]``.
    """


class Query(Intent[R]):
    """A request for information, which changes nothing: ``class GetUser(Query[User]): id: int``."""


class Event(Message):
    """A fact that has happened, for any number of handlers: ``class UserCreated(Event): id: int``."""


def result_type(kind: type) -> Any:
    """Return the type of an intent's result, ``Any`` without one. Raises ``NameError`` for an undefined name."""
    result = _result_argument(kind, {})
    if isinstance(result, ForwardRef):
        holder = type("holder", (), {"__annotations__": {"result": result}, "__module__": kind.__module__})
        result = get_type_hints(holder, include_extras=True)["result"]
    return type(None) if result is None else Any if isinstance(result, TypeVar) else result


def _result_argument(kind: Any, arguments: dict[Any, Any]) -> Any:
    """Return the result type of a class, with these types in place of its type variables."""
    if kind is Intent:
        return next(iter(arguments.values()), Any)
    for base in vars(kind).get("__orig_bases__", kind.__bases__):
        origin = get_origin(base) or base
        if isinstance(origin, type) and issubclass(origin, Intent):
            variables = getattr(base, "__parameters__", ())
            bound = {variable: arguments.get(variable, Any) for variable in variables}
            values = [substitute(hint, bound) for hint in get_args(base)]
            variables = getattr(origin, "__parameters__", ())
            return _result_argument(origin, dict(zip(variables, values or [Any] * len(variables), strict=True)))
    return Any


def create_intent(kind: type[Message], data: Any) -> Message:
    """Return an intent from a mapping, or from JSON.

    Raises `InvalidIntent`, also for unknown fields, without values of the data and without a cause, which has them.
    """
    try:
        if isinstance(data, (str, bytes, bytearray, memoryview)):
            intent, raw = msgspec.json.decode(data, type=kind), msgspec.json.decode(data)
        else:
            intent, raw = msgspec.convert(data, kind, str_keys=True), data
        misfits = [(path, "unknown field") for path in unknown_fields(intent, raw, kind)]
        if not misfits:
            return intent
    except msgspec.ValidationError as error:
        misfits = [misfit_without_values(error, data)]
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        misfits = [("$", str(error))]
    raise InvalidIntent(kind, misfits)


def misfit_without_values(error: Exception, data: Any) -> tuple[str, str]:
    """Return the path and the text of msgspec's error about data, a mapping or JSON, without its values."""
    path, text = misfit_of(error, "$")
    if error.__cause__ is None:  # else a hook of the type made the text, perhaps of the value
        return path, text
    raw = msgspec.json.decode(data) if isinstance(data, (str, bytes, bytearray, memoryview)) else data
    return path, mask_values(text, raw)


def with_derived(types: Iterable[type[Message]]) -> list[type[Message]]:
    """Return the types and all types derived from them, which have the same handlers; the first of each wire name."""
    named: dict[str, type[Message]] = {}
    pending = [*types]
    while pending:
        kind = pending.pop(0)
        named.setdefault(wire_name(kind), kind)
        pending += kind.__subclasses__()
    return [*named.values()]
