"""Sensitive content: fields that are marked as secret, and values that do not show them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, TypeVar, is_typeddict

import msgspec

from modd.core.field_hints import hints_of_fields, names_in, take_apart

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_COLLECTIONS = (list, tuple, set, frozenset, deque)
_MAPPINGS = (dict, MappingProxyType)
_FIELD_LISTS = ("__attrs_attrs__", "__pydantic_fields__")
"""Attributes by which the classes of other libraries tell that their repr shows their fields."""


class Sensitive:
    """A mark for a field with a secret: ``card: Annotated[str, Sensitive]`` prints as ``***``.

    The mark counts wherever it stands in the hint of a field, and in the type of the value that the field really has.
    The field is masked in repr, journeys, logs and tools; encoding keeps the content.
    """


class Value(msgspec.Struct, frozen=True):
    """A frozen value, for the fields of messages; it shows ``***`` in place of fields that are `Sensitive`."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Field names and shown values, for repr and for pretty printers."""
        return [
            (name, MASK if is_marked or shows_secret(value) else value) for name, value, is_marked in fields_in(self)
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class Text(str):
    """A text that shows itself without quotes, in place of a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


MASK = Text("***")


@lru_cache(maxsize=1024)
def sensitive_fields(kind: type) -> frozenset[str]:
    """Return the names of the `Sensitive` fields of a type; by the text of a hint if it cannot be resolved."""
    return frozenset(name for name, hint in hints_of_fields(kind).items() if _is_sensitive(hint, kind, ()))


def fields_in(value: Any) -> list[tuple[str, Any, bool]]:
    """Return the fields of a value, each with True if its hint is marked; none for a value not made of fields."""
    kind: type = type(value)
    sensitive = sensitive_fields(kind) if shows_fields(kind) else ()
    return [(name, getattr(value, name, None), name in sensitive) for name in _field_names(value)]


def items_in(value: Any) -> Iterable[Any]:
    """Return the keys and items of a mapping, or the items of a collection; none for any other value."""
    if isinstance(value, _MAPPINGS):
        return [part for item in value.items() for part in item]
    return value if isinstance(value, _COLLECTIONS) else ()


def shows_secret(value: Any) -> bool:
    """Return True if the repr of a value shows sensitive content, by the types of the values that are in it."""
    try:
        return _shows_secret(value, ())
    except Exception:  # too deep to look into, or a value that fails: any part of it may be secret
        return True


def shows_fields(kind: type) -> bool:
    """Return True if values of a type are made of fields that their repr shows; a `Value` masks by itself."""
    return (
        issubclass(kind, msgspec.Struct)
        or is_dataclass(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
        or is_typeddict(kind)
        or any(hasattr(kind, name) for name in _FIELD_LISTS)
    )


def _shows_secret(value: Any, around: tuple[int, ...]) -> bool:
    kind: type = type(value)
    if kind in _PLAIN or isinstance(value, (type, Value)) or id(value) in around:
        return False
    around = (*around, id(value))
    if shows_fields(kind):
        if sensitive_fields(kind):
            return True
        return any(_shows_secret(getattr(value, name, None), around) for name in _field_names(value))
    return any(_shows_secret(item, around) for item in items_in(value))


def _field_names(value: Any) -> Iterable[str]:
    if isinstance(value, type):
        return ()
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    return hints_of_fields(type(value)) if shows_fields(type(value)) else ()


def _is_sensitive(hint: Any, place: type, around: tuple[Any, ...]) -> bool:
    """Return True if a value of a hint shows sensitive content. place: the class in whose module the hint stands."""
    if isinstance(hint, str):
        named = () if "Sensitive" in hint else names_in(hint, place)
        return "Sensitive" in hint or any(_is_sensitive(each, place, around) for each in named if each != hint)
    if isinstance(hint, TypeVar):
        return any(_is_sensitive(each, place, around) for each in (*hint.__constraints__, hint.__bound__))
    bare, kind, args, metadata, _ = take_apart(hint)
    if any(mark is Sensitive or isinstance(mark, Sensitive) for mark in metadata):
        return True
    if isinstance(bare, TypeVar):
        return _is_sensitive(bare, place, around)
    if isinstance(kind, type) and kind not in around and shows_fields(kind) and not issubclass(kind, Value):
        around = (*around, kind)
        return any(_is_sensitive(each, kind, around) for each in (*hints_of_fields(bare).values(), *args))
    return kind not in (Literal, type) and any(_is_sensitive(each, place, around) for each in args)
