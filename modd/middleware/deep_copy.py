"""Copies of the values in a message that a handler could change in place.

Containers, structs and dataclasses are copied, to any depth, because a message is made of these; all else, such as a
connection or a function in a field, is shared by the copies. `copy.deepcopy` would copy that, too, or fail.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections import deque
from copy import copy
from typing import Any

import msgspec

_ATOMS = frozenset((str, bytes, bool, int, float, complex, type(None)))


def copy_values(value: Any, copies: dict[int, Any] | None = None) -> Any:
    """Return a value with copies in place of all that can be changed in it; the value itself if that is nothing.

    copies: the copies made so far by the id of the value, so that a value that occurs twice is copied once.
    """
    if type(value) in _ATOMS:
        return value
    copies = {} if copies is None else copies
    if id(value) in copies:
        return copies[id(value)]
    if isinstance(value, (dict, list, deque, set, bytearray, array)):
        return _copy_container(value, copies)
    if isinstance(value, tuple):
        items = [copy_values(item, copies) for item in value]
        return value if _are_same(items, value) else _tuple_of(type(value), items)
    if isinstance(value, msgspec.Struct):
        frozen = value.__struct_config__.frozen
        return _copy_fields(value, value.__struct_fields__, frozen, msgspec.structs.force_setattr, copies)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = tuple(field.name for field in dataclasses.fields(value))
        frozen = value.__dataclass_params__.frozen  # type: ignore[attr-defined]
        return _copy_fields(value, names, frozen, object.__setattr__, copies)
    return value


def _copy_container(value: Any, copies: dict[int, Any]) -> Any:
    """Return a copy of a container with copies of its items; those of a set cannot be changed."""
    new = copies[id(value)] = copy(value)
    if isinstance(value, dict):
        for key, item in value.items():
            new[key] = copy_values(item, copies)
    elif isinstance(value, (list, deque)):
        for position, item in enumerate(value):
            new[position] = copy_values(item, copies)
    return new


def _copy_fields(value: Any, names: tuple[str, ...], frozen: bool, set_field: Any, copies: dict[int, Any]) -> Any:
    """Return a copy of an object with fields; the object itself if it is frozen and so are its fields."""
    new = copies[id(value)] = copy(value)
    changed = False
    for name in names:
        if hasattr(value, name):
            old = getattr(value, name)
            item = copy_values(old, copies)
            if item is not old:
                changed = True
                set_field(new, name, item)
    if frozen and not changed:
        copies[id(value)] = value
    return copies[id(value)]


def _are_same(items: list[Any], values: tuple[Any, ...]) -> bool:
    return all(item is value for item, value in zip(items, values, strict=True))


def _tuple_of(kind: Any, items: list[Any]) -> Any:
    """Return a tuple of a type, a named one too."""
    return kind._make(items) if hasattr(kind, "_make") else kind(items)
