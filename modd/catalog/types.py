"""The description of types and functions: names, first lines of docstrings, fields, versions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, Union, get_origin

import msgspec

from modd.catalog.entries import FieldEntry, FunctionEntry, MessageEntry, StateEntry
from modd.catalog.named_types import plain_callable
from modd.core import Intent, Message, hints_of_fields, name_of, sensitive_fields, take_apart, wire_name
from modd.cqrs.intents import Command, Event, Query, result_type
from modd.texts import full_name

Kind: TypeAlias = Literal["command", "query", "event", "message"]


KINDS: tuple[tuple[type[Message], Kind], ...] = ((Command, "command"), (Query, "query"), (Event, "event"))


MOST_LEVELS = 8
"""Levels of type arguments that are written out: an alias may name itself."""


def kind_of(type_: type) -> Kind:
    """Return the kind of a type of messages."""
    for base, word in KINDS:
        if issubclass(type_, base):
            return word
    return "message"


def describe_message(kind: type[Message]) -> MessageEntry:
    """Describe a type of messages."""
    result = _result_of(kind) if issubclass(kind, Intent) else None
    own = full_name(kind), kind.schema_version, first_line(kind), fields_of_type(kind)
    return MessageEntry(wire_name(kind), kind_of(kind), *own, result)


def describe_state(state: Any) -> StateEntry:
    """Describe the type of a state, by the type or by a value of it."""
    kind: type = state if isinstance(state, type) else type(state)
    return StateEntry(kind.__qualname__, first_line(kind) if has_own_fields(kind) else "", fields_of_type(kind))


def describe_function(function: Callable[..., Any]) -> FunctionEntry:
    """Describe a function, or an object that can be called."""
    return FunctionEntry(name_of(function), first_line(function))


def names_of_types(types: Iterable[type[Message]]) -> list[str]:
    """Return the names of types on the wire, each once."""
    return [*dict.fromkeys(map(wire_name, types))]


def first_line(value: Any) -> str:
    """Return the first line of the docstring of a function, of a class, or of the class of an object."""
    value = plain_callable(value)
    owner = value if inspect.isroutine(value) or isinstance(value, type) else type(value)
    doc = vars(owner).get("__doc__") if isinstance(owner, type) else owner.__doc__
    if not isinstance(doc, str) or doc.startswith(f"{owner.__name__}("):  # as dataclasses make it
        return ""
    return inspect.cleandoc(doc).partition("\n")[0].strip()


def has_own_fields(kind: type) -> bool:
    """Return True for a type that is made of fields, rather than a number, a text or a collection."""
    return bool(_fields_of_kind(kind))


def fields_of_type(kind: type) -> list[FieldEntry]:
    """Describe the fields of a type."""
    hints, secret = hints_of_fields(kind), sensitive_fields(kind)
    return [
        FieldEntry(name, type_text(hints.get(name, Any)), is_required, name in secret)
        for name, is_required in _fields_of_kind(kind).items()
    ]


def type_text(hint: Any, level: int = 0) -> str:
    """Return a hint as it is written in code, without marks such as `Sensitive`."""
    if isinstance(hint, str):
        return hint
    if isinstance(hint, (list, tuple)):
        return f"[{', '.join(type_text(each, level) for each in hint)}]"
    bare, origin, args, *_ = take_apart(hint)
    if bare is type(None) or bare is None:
        return "None"
    if bare is Ellipsis or level > MOST_LEVELS:
        return "..."
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    parts = [type_text(each, level + 1) for each in args]
    if origin is Union:
        return " | ".join(parts)
    name = origin.__name__ if isinstance(origin, TypeVar) else getattr(origin, "__qualname__", str(origin))
    return f"{name}[{', '.join(parts)}]" if parts else str(name)


def _result_of(kind: type[Message]) -> str | None:
    """Return the text of the type of a result; None for an intent without one."""
    try:
        result = result_type(kind)
    except NameError:
        return "Any"
    return None if result is type(None) else type_text(result)


def _fields_of_kind(kind: type) -> dict[str, bool]:
    """Return the names of the fields of a type, each with True if it has no default."""
    if issubclass(kind, msgspec.Struct):
        names, defaults = kind.__struct_fields__, kind.__struct_defaults__
        every = (*[msgspec.NODEFAULT] * (len(names) - len(defaults)), *defaults)
        return {name: default is msgspec.NODEFAULT for name, default in zip(names, every, strict=True)}
    if is_dataclass(kind):
        return {each.name: each.default is MISSING and each.default_factory is MISSING for each in fields(kind)}
    annotated = [name for name, hint in hints_of_fields(kind).items() if ClassVar not in (hint, get_origin(hint))]
    return {name: name not in getattr(kind, "_field_defaults", vars(kind)) for name in annotated}
