"""Type check: compare values with type hints, without converting the values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, TypeVar, Union, is_typeddict
from uuid import UUID

import msgspec

from modd.core import misfit_of, take_apart

Misfits: TypeAlias = list[tuple[str, str]]
"""The path and the error text of each value that does not fit its hint."""


NATIVE = (bytes, bytearray, datetime, date, time, timedelta, UUID, Decimal)
"""Types that msgspec must not convert from text: a text does not fit them."""


_PROMOTED: dict[type, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}
"""Types that type checkers accept for a class, such as an int for a float."""


_TEXTS = (str, bytes, bytearray, memoryview)


def find_misfits(value: Any, hint: Any, path: str) -> Misfits:
    """Return the parts of a value that do not fit a hint, fields of structs included.

    msgspec alone would not do: it checks data that it converts, lets existing structs pass unchecked, and refuses
    instances of subclasses. Hints that msgspec does not support (two plain classes in a union, for example) fit any
    value.
    """
    bare, origin, args, metadata, _ = take_apart(hint)
    if origin is Union:
        return _check_union(value, args, metadata, path)
    if not isinstance(origin, type) or is_typeddict(origin):
        return _check_by_msgspec(value, bare, metadata, path)
    if not _is_instance(value, origin):
        return [(path, f"Expected `{origin.__name__}`, got `{type(value).__name__}`")]
    if issubclass(origin, msgspec.Struct):
        return find_struct_misfits(value, path, bare)
    if issubclass(origin, Collection) and not issubclass(origin, _TEXTS):
        fixed_length = origin is tuple and args[1:] != (...,)
        return _check_collection(value, args, metadata, path, fixed_length)
    exact = type(value) in (origin, bool, datetime) or (origin is float and type(value) is int)
    return _check_by_msgspec(value, bare, metadata, path) if exact else []


def find_struct_misfits(value: Any, path: str, hint: Any = None) -> Misfits:
    """Return the parts of a struct that do not fit the hints of its fields."""
    struct: Any = hint if hint is not None and take_apart(hint).origin is type(value) else type(value)
    return [
        misfit
        for name, kind in fields_of(struct)
        for misfit in find_misfits(getattr(value, name), kind, f"{path}.{name}")
    ]


@lru_cache(maxsize=1024)
def fields_of(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Return the fields of a struct type with their hints. Raises ``NameError`` for a hint that cannot be resolved."""
    return tuple((field.name, field.type) for field in msgspec.structs.fields(kind))


def _is_instance(value: Any, kind: type) -> bool:
    """True if type checkers would accept a value for a class; a text is no collection of texts here."""
    if issubclass(kind, Collection) and not issubclass(kind, _TEXTS) and isinstance(value, _TEXTS):
        return False
    try:
        return isinstance(value, _PROMOTED.get(kind, kind))
    except TypeError:  # a protocol that is not `runtime_checkable`
        return True


def _check_union(value: Any, kinds: tuple[Any, ...], metadata: tuple[Any, ...], path: str) -> Misfits:
    """Return nothing if one type of a union fits, else the misfits of the type that fits to the greatest depth."""
    found = [find_misfits(value, Annotated[kind, *metadata] if metadata else kind, path) for kind in kinds]
    deepest = max(found, key=lambda misfits: max((len(where) for where, _ in misfits), default=0))
    return [] if [] in found else deepest


def _check_collection(
    value: Any, inner: tuple[Any, ...], metadata: tuple[Any, ...], path: str, fixed_length: bool
) -> Misfits:
    found = _check_by_msgspec([None] * len(value), list[Any], metadata, path) if metadata else []
    if fixed_length and inner:
        return found + _check_tuple(value, inner, path)
    if isinstance(value, Mapping) and len(inner) == 2:
        for key, item in value.items():
            found += [*find_misfits(key, inner[0], f"{path}[...]"), *find_misfits(item, inner[1], f"{path}[...]")]
    elif inner:
        found += [each for at, item in enumerate(value) for each in find_misfits(item, inner[0], f"{path}[{at}]")]
    return found


def _check_tuple(value: tuple[Any, ...], kinds: tuple[Any, ...], path: str) -> Misfits:
    if len(value) != len(kinds):
        return [(path, f"Expected `tuple` of length {len(kinds)}, got {len(value)}")]
    pairs = enumerate(zip(value, kinds, strict=True))
    return [each for at, (item, kind) in pairs for each in find_misfits(item, kind, f"{path}[{at}]")]


def _check_by_msgspec(value: Any, bare: Any, metadata: tuple[Any, ...], path: str) -> Misfits:
    for hint in _checkable(bare, metadata):
        try:
            msgspec.convert(value, hint, builtin_types=NATIVE)
        except msgspec.ValidationError as error:
            return [misfit_of(error, path)]
        except TypeError:  # msgspec does not support this hint
            continue
        break
    return []


def _checkable(bare: Any, metadata: tuple[Any, ...]) -> Iterator[Any]:
    """Return the hints to try in msgspec, with metadata first."""
    if isinstance(bare, TypeVar):
        return
    if metadata:
        yield Annotated[bare, *metadata]
    yield bare
