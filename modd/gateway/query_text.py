"""Queries in a URL: fields from text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Union

import msgspec

from modd.core import Message, misfit_of, take_apart
from modd.cqrs import InvalidIntent
from modd.cqrs.intents import misfit_without_values


def read_query(kind: type[Message], pairs: Sequence[tuple[str, str]]) -> Message:
    """Return the message of a type whose fields are texts: a list by repetition, and every other field once.

    Raises `InvalidIntent` with all that does not fit.
    """
    fields, misfits = _fields_of(kind), list[tuple[str, str]]()
    values: dict[str, Any] = {}
    for name, texts in _grouped(pairs).items():
        if name not in fields:
            misfits.append((f"$.{name}", "Unknown field"))
            continue
        values[name] = texts if _takes_many(fields[name].type) else texts[0]
        if len(texts) > 1 and values[name] is not texts:
            misfits.append((f"$.{name}", "Field comes twice"))
        else:
            misfits += _misfits(values[name], fields[name].type, f"$.{name}")
    misfits += [
        (f"$.{name}", "Field required") for name, each in fields.items() if each.required and name not in values
    ]
    if not misfits:
        try:
            return msgspec.convert(values, kind, strict=False, str_keys=True)
        except msgspec.ValidationError as error:  # of the message as a whole
            misfits.append(misfit_without_values(error, values))
    raise InvalidIntent(kind, misfits)


def _fields_of(kind: Any) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, text in pairs:
        grouped.setdefault(name, []).append(text)
    return grouped


def _takes_many(hint: Any) -> bool:
    """True for the type of a list, set or tuple, or of one or None."""
    parts = take_apart(hint)
    if parts.origin is Union:
        return any(_takes_many(member) for member in parts.args)
    origin = parts.origin
    return isinstance(origin, type) and issubclass(origin, Collection) and not issubclass(origin, (str, bytes, Mapping))


def _misfits(value: str | list[str], hint: Any, path: str) -> Iterator[tuple[str, str]]:
    try:
        made = msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        yield misfit_of(error, path)
        return
    for number in made if isinstance(made, (list, tuple, set, frozenset)) else (made,):
        if isinstance(number, float) and not isfinite(number):
            yield path, "Expected a finite number"
