"""Whether values are what their type hints say, without converting them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin, is_typeddict
from uuid import UUID

import msgspec

from modd.core import misfit_of

Errors: TypeAlias = list[tuple[str, str]]
"""What does not fit: a path and a message for each."""


NATIVE = (bytes, bytearray, datetime, date, time, timedelta, UUID, Decimal)
"""Types whose values are not made from text: a text in their place does not fit."""


_PROMOTED: dict[type, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}
"""What else may be given for a class, by the rules of type checkers."""


_TEXTS = (str, bytes, bytearray, memoryview)


def misfits(value: Any, hint: Any, path: str) -> Errors:
    """What in a value does not fit a hint; structs in it are looked into.

    msgspec checks what it makes from raw data, and nothing that exists; its own conversion lets structs pass unseen and
    refuses instances of derived ones. What it cannot check at all (two plain classes in a union, say) passes.
    """
    bare, about = _bare(hint)
    origin = get_origin(bare) or bare
    if origin in (Union, UnionType):
        return _of_union(value, get_args(bare), about, path)
    if not isinstance(origin, type) or is_typeddict(origin):
        return _of_rest(value, bare, about, path)
    if not _is(value, origin):
        return [_wanted(origin, value, path)]
    if issubclass(origin, msgspec.Struct):
        return struct_misfits(value, path, bare)
    if issubclass(origin, Collection) and not issubclass(origin, _TEXTS):
        places = origin is tuple and get_args(bare)[1:] != (...,)
        return _of_collection(value, get_args(bare), about, path, places)
    exact = type(value) in (origin, bool, datetime) or (origin is float and type(value) is int)
    return _of_rest(value, bare, about, path) if exact else []


def struct_misfits(value: Any, path: str, hint: Any = None) -> Errors:
    """What in the fields of a struct does not fit their hints."""
    known: Any = hint if (get_origin(hint) or hint) is type(value) else type(value)
    return [error for name, kind in fields_of(known) for error in misfits(getattr(value, name), kind, f"{path}.{name}")]


@lru_cache(maxsize=1024)
def fields_of(kind: Any) -> tuple[tuple[str, Any], ...]:
    """The fields of a struct type with their hints; raises ``NameError`` for a name that cannot be found."""
    return tuple((field.name, field.type) for field in msgspec.structs.fields(kind))


def _bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A hint without what is annotated to it, and that."""
    about: tuple[Any, ...] = ()
    while True:
        if get_origin(hint) is Annotated:
            about, hint = (*hint.__metadata__, *about), get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        else:
            return hint, about


def _is(value: Any, kind: type) -> bool:
    """Whether a value is of a class as type checkers see it; a text is no collection of texts here."""
    if issubclass(kind, Collection) and not issubclass(kind, _TEXTS) and isinstance(value, _TEXTS):
        return False
    try:
        return isinstance(value, _PROMOTED.get(kind, kind))
    except TypeError:  # a protocol that cannot be asked
        return True


def _of_union(value: Any, kinds: tuple[Any, ...], about: tuple[Any, ...], path: str) -> Errors:
    tried = [misfits(value, Annotated[kind, *about] if about else kind, path) for kind in kinds]
    fitting_so_far = max(tried, key=lambda errors: max((len(where) for where, _ in errors), default=0))
    return [] if [] in tried else fitting_so_far


def _of_collection(value: Any, inner: tuple[Any, ...], about: tuple[Any, ...], path: str, places: bool) -> Errors:
    errors = _of_rest([None] * len(value), list[Any], about, path) if about else []
    if places and inner:
        return errors + _of_places(value, inner, path)
    if isinstance(value, Mapping) and len(inner) == 2:
        for key, each in value.items():
            errors += [*misfits(key, inner[0], f"{path}[...]"), *misfits(each, inner[1], f"{path}[...]")]
    elif inner:
        errors += [error for at, each in enumerate(value) for error in misfits(each, inner[0], f"{path}[{at}]")]
    return errors


def _of_places(value: tuple[Any, ...], kinds: tuple[Any, ...], path: str) -> Errors:
    if len(value) != len(kinds):
        return [(path, f"Expected `tuple` of length {len(kinds)}, got {len(value)}")]
    pairs = enumerate(zip(value, kinds, strict=True))
    return [error for at, (each, kind) in pairs for error in misfits(each, kind, f"{path}[{at}]")]


def _of_rest(value: Any, bare: Any, about: tuple[Any, ...], path: str) -> Errors:
    for hint in _checkable(bare, about):
        try:
            msgspec.convert(value, hint, builtin_types=NATIVE)
        except msgspec.ValidationError as error:
            return [misfit_of(error, path)]
        except TypeError:  # msgspec does not know this hint
            continue
        break
    return []


def _checkable(bare: Any, about: tuple[Any, ...]) -> Iterator[Any]:
    if isinstance(bare, TypeVar):
        return
    if about:
        yield Annotated[bare, *about]
    yield bare


def _wanted(kind: type, value: Any, path: str) -> tuple[str, str]:
    return (path, f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
