"""Plain data: a value as dictionaries, lists and texts, without the names of types that its hint tells already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, Union

import msgspec

from modd.core.field_hints import hints_of_fields, take_apart
from modd.core.sensitive import items_in


def plain_data(value: Any, hint: Any, named: bool) -> Any:
    """Return a value as plain data, for JSON.

    The name of a message's type is in the data only if the value is one of a union or of a derived type.

    hint: the declared type of the value. named: True if that is one type of a union.
    """
    data = msgspec.to_builtins(value, str_keys=True)
    _drop_names(value, data, hint, named)
    return data


def _drop_names(value: Any, data: Any, hint: Any, named: bool) -> None:
    bare, origin, args, *_ = take_apart(hint)
    if origin is Union:
        members = [kind for kind in args if kind is not type(None)]
        kind = next((each for each in members if take_apart(each).origin is type(value)), members[0])
        _drop_names(value, data, kind, named or len(members) > 1)
    elif isinstance(data, dict) and (isinstance(value, msgspec.Struct) or is_dataclass(value)):
        if type(value) is not origin:
            bare, named = type(value), True
        _drop_names_of_struct(value, data, bare, named)
    elif isinstance(data, dict) and isinstance(value, dict):
        _drop_names_of_items(value.values(), data.values(), args[1:] if len(args) == 2 else (Any,))
    elif isinstance(data, (list, tuple)):
        fixed = origin is tuple and args[1:] != (...,)
        _drop_names_of_items(items_in(value), data, args if fixed else args[:1])


def _drop_names_of_struct(value: Any, data: dict[str, Any], kind: Any, named: bool) -> None:
    names = {name: name for name in data}
    if isinstance(value, msgspec.Struct):
        tag_field = value.__struct_config__.tag_field
        if tag_field is not None and not named:
            del data[tag_field]
        names = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
    hints = hints_of_fields(kind)
    for name, part in data.items():
        if name in names:
            _drop_names(getattr(value, names[name]), part, hints.get(names[name], Any), False)


def _drop_names_of_items(values: Iterable[Any], data: Iterable[Any], hints: tuple[Any, ...]) -> None:
    """Drop names in items, each with the hint at its position; the last hint is also for the rest."""
    kinds = hints or (Any,)
    for at, (value, part) in enumerate(zip(values, data, strict=False)):
        _drop_names(value, part, kinds[min(at, len(kinds) - 1)], False)
