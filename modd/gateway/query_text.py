"""Queries in a URL: fields from text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Union

import msgspec
from msgspec.structs import FieldInfo

from modd.core import Message, take_apart
from modd.cqrs import InvalidIntent
from modd.cqrs.intents import misfit_without_values


def read_query(kind: type[Message], pairs: Sequence[tuple[str, str]]) -> Message:
    """Return the message of a type whose fields are texts: a list by repetition, and every other field once.

    Raises `InvalidIntent` with each field that does not fit.
    """
    fields, grouped = _fields_of(kind), _grouped(pairs)
    misfits = [each for name, texts in grouped.items() for each in _misfits(name, texts, fields)]
    misfits += [(f"$.{each}", "Field required") for each in fields if fields[each].required and each not in grouped]
    if not misfits:
        values = {name: texts if _takes_many(fields[name].type) else texts[0] for name, texts in grouped.items()}
        try:
            return msgspec.convert(values, kind, strict=False, str_keys=True)
        except msgspec.ValidationError as error:  # of the message as a whole
            misfits.append(misfit_without_values(error, values))
    raise InvalidIntent(kind, misfits)


def _fields_of(kind: Any) -> dict[str, FieldInfo]:
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


def _misfits(name: str, texts: list[str], fields: Mapping[str, FieldInfo]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each fault of the field of a name."""
    path = f"$.{name}"
    if name not in fields:
        yield path, "Unknown field"
        return
    takes_many = _takes_many(fields[name].type)
    if len(texts) > 1 and not takes_many:
        yield path, "Field comes twice"
        return
    value = texts if takes_many else texts[0]
    try:
        made = msgspec.convert(value, fields[name].type, strict=False)
    except msgspec.ValidationError as error:
        misfit = misfit_without_values(error, [value])
        yield path + misfit[0].removeprefix("$"), misfit[1]
        return
    for number in made if isinstance(made, (list, tuple, set, frozenset)) else (made,):
        if isinstance(number, float) and not isfinite(number):
            yield path, "Expected a finite number"
