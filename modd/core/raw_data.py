"""Raw data: the parts of it that no field of a value was made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from functools import lru_cache
from typing import Any, Union, get_origin

import msgspec

from modd.core.field_hints import Hint, hints_of_fields, take_apart

_NESTED = (Mapping, list, tuple)


def unknown_fields(made: Any, raw: Any, hint: Any) -> Iterator[str]:
    """Yield the paths in raw data that no field was made of, because the struct or dataclass does not have them.

    Each part of the data is looked at once, and once more for each set around it.

    made: the value that msgspec made of the data. hint: its type.
    """
    pending = [(made, raw, hint, "$")]
    while pending:  # without recursion, because data may be nested deeper than the stack
        made, raw, hint, path = pending.pop()
        parts, names = _matching(hint, made), _fields_of(made)
        if isinstance(raw, Mapping) and names is not None:
            yield from (f"{path}.{key}" for key in raw if key not in names and key != _tag_of(made))
        below = [each for each in _parts_in(made, raw, parts, names) if each[0] is not None]
        pending += [(one, value, _hint_at(parts, key), path + step) for one, value, key, step in reversed(below)]


def _parts_in(made: Any, raw: Any, parts: Hint, names: Mapping[str, str] | None) -> Iterator[tuple[Any, Any, Any, str]]:
    """Yield the parts of a value that may have unknown fields: made, raw, name or position, and step of the path."""
    if isinstance(raw, Mapping) and names is not None:
        for key, value in raw.items():
            if key in names and isinstance(value, _NESTED):  # most values are not, and need no look
                yield getattr(made, names[key]), value, names[key], f".{key}"
    elif isinstance(raw, Mapping) and isinstance(made, Mapping):
        by_text = {str(key): value for key, value in made.items()}
        for key, value in raw.items():
            if isinstance(value, _NESTED):
                yield by_text.get(str(key)), value, key, f".{key}"
    elif isinstance(raw, (list, tuple)) and isinstance(made, (list, tuple, Set)):
        items = _made_alone(raw, _hint_at(parts, 0)) if isinstance(made, Set) else made
        for at, (one, value) in enumerate(zip(items, raw, strict=False)):
            if isinstance(value, _NESTED):
                yield one, value, at, f"[{at}]"


def _made_alone(raw: Any, hint: Any) -> Iterator[Any]:
    """Yield the value that each item of a set is made of: the set itself does not tell which became which."""
    for value in raw:
        made = None
        if _has_fields(value):
            with suppress(msgspec.ValidationError):  # of a type that does not always take the same data
                made = msgspec.convert(value, hint, str_keys=True)
        yield made


def _has_fields(raw: Any) -> bool:
    return isinstance(raw, Mapping) or (isinstance(raw, (list, tuple)) and any(map(_has_fields, raw)))


def _matching(hint: Any, made: Any) -> Hint:
    """Return the parts of the hint of a value: of a union, those of the member that the value is of."""
    parts = take_apart(hint)
    for member in parts.args if parts.origin is Union else ():
        inner = _matching(member, made)
        if inner.origin is type(made) or (not isinstance(made, msgspec.Struct) and _is_of(made, inner.origin)):
            return inner
    return parts


def _is_of(made: Any, kind: Any) -> bool:
    try:
        return isinstance(made, kind)
    except TypeError:  # a typed dictionary
        return isinstance(made, dict)


def _hint_at(parts: Hint, key: Any) -> Any:
    """Return the hint of a field by its name, or of an item by its key or position."""
    try:
        hints = _hints_of(parts.bare)
    except TypeError:  # metadata that cannot be hashed
        hints = _hints_of(parts.origin)
    if key in hints:
        return hints[key]
    if hints and isinstance(key, int):  # a named tuple
        return [*hints.values()][key]
    fixed = parts.origin is tuple and parts.args and parts.args[-1] is not ...
    return parts.args[key] if fixed else next((each for each in reversed(parts.args) if each is not ...), Any)


@lru_cache(maxsize=1024)
def _hints_of(kind: Any) -> dict[str, Any]:
    return hints_of_fields(kind) if isinstance(get_origin(kind) or kind, type) else {}


def _fields_of(made: Any) -> dict[str, str] | None:
    """Return the attributes of a struct or dataclass by their names in data."""
    if isinstance(made, msgspec.Struct):
        return dict(zip(made.__struct_encode_fields__, made.__struct_fields__, strict=True))
    if dataclasses.is_dataclass(made):
        return {field.name: field.name for field in dataclasses.fields(made)}
    return None


def _tag_of(made: Any) -> str | None:
    return made.__struct_config__.tag_field if isinstance(made, msgspec.Struct) else None
