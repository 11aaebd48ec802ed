"""Fingerprints of code: texts that differ if event functions do something else, or if a state has other fields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from types import CellType, CodeType, EllipsisType, FunctionType, MethodType
from typing import Any

import msgspec

from modd.core import hints_of_fields
from modd.texts import full_name

CONSTANTS = (type(None), bool, int, float, complex, str, bytes, EllipsisType)


def fingerprint(kind: type, functions: Iterable[Any], version: int) -> str:
    """Return a text for the fields of a type of state, the code of event functions, and a version.

    The code of a function includes its defaults, and the functions and values in its closure, as a decorator has them.
    """
    digest = hashlib.sha256(repr((full_name(kind), _fields_of(kind), version)).encode())
    for part in sorted(repr([*_parts_of(function)]) for function in functions):
        digest.update(part.encode())
    return digest.hexdigest()


def _fields_of(kind: type) -> Any:
    """Return the fields of a type and of the types in it, as JSON schema where there is one."""
    try:
        return msgspec.json.schema(kind)
    except (TypeError, NameError):
        return sorted((name, repr(hint)) for name, hint in hints_of_fields(kind).items())


def _parts_of(function: Any) -> Iterator[Any]:
    """Yield the parts of a function that decide about what it does, in an order that is the same in each process."""
    pending, visited = [function], set[Any]()
    while pending:
        part = pending.pop()
        if isinstance(part, CodeType):
            yield part.co_code, part.co_names, part.co_freevars
            pending += part.co_consts
        elif isinstance(part, frozenset):  # its order differs between processes
            yield sorted(map(repr, part))
        elif isinstance(part, CONSTANTS):
            yield repr(part)
        elif isinstance(part, tuple):
            yield len(part)
            pending += part
        elif id(part) not in visited:  # a function may be in its own closure
            visited.add(id(part))
            yield _name_of(part)
            pending += _inner_parts_of(part)


def _inner_parts_of(part: Any) -> Iterable[Any]:
    """Return the parts of something that can be called, and the content of any other value as JSON."""
    if isinstance(part, FunctionType):
        cells = [cell.cell_contents for cell in part.__closure__ or () if cell != CellType()]
        return part.__code__, part.__defaults__, *(part.__kwdefaults__ or {}).items(), *cells
    if isinstance(part, MethodType):
        return part.__func__, part.__self__
    if isinstance(part, partial):
        return part.func, part.args, *part.keywords.items()
    call = getattr(type(part), "__call__", None)  # noqa: B004
    return call if isinstance(call, FunctionType) else None, _content_of(part)


def _content_of(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value, order="deterministic")
    except (TypeError, ValueError, OverflowError):
        return b""


def _name_of(part: Any) -> str:
    """Return the type of a part, or the name of a type and of a function without code."""
    has_code = isinstance(part, (FunctionType, MethodType))
    return full_name(type(part)) if has_code else getattr(part, "__qualname__", full_name(type(part)))
