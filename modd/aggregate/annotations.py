"""Annotations of functions, checked against the values that they get."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import Parameter
from typing import Any, TypeVar, Union

from modd.core import members, name_of, parameters_of, resolved, take_apart
from modd.errors import InvalidOption, UnresolvedAnnotation

WIDER = (Any, float, complex)
"""Annotations that take values of further types."""


PLACES = ("first", "second")
"""The names of positions, for errors."""


def annotation_at(function: Callable[..., Any], position: int) -> Any:
    """Return the annotation of a parameter, by its position from 0; ``Parameter.empty`` without one.

    Raises `UnresolvedAnnotation`, and ``ValueError`` for a builtin that tells nothing of its parameters.
    """
    parameters = parameters_of(function)[position : position + 1]
    hints = [each.annotation for each in parameters if each.annotation is not each.empty]
    return resolved(function, hints[0]) if hints else Parameter.empty


def known_annotation(function: Callable[..., Any], position: int) -> Any:
    """Return an annotation; ``Parameter.empty`` where it cannot be looked up, because nothing depends on it."""
    with suppress(UnresolvedAnnotation, ValueError):
        return annotation_at(function, position)
    return Parameter.empty


def annotated_types(function: Callable[..., Any], position: int) -> tuple[Any, ...]:
    """Return the types in the annotation of a parameter, by its position from 0; none without an annotation."""
    hint = annotation_at(function, position)
    return () if hint is Parameter.empty else tuple(members(hint))


def check_annotation(option: str, function: Any, position: int, kind: type, *, is_exact: bool) -> None:
    """Raise `InvalidOption` for a function whose parameter is certain to be for values of other types.

    kind: the type of its values. is_exact: False if values of subclasses come, too.
    """
    hint = known_annotation(function, position)
    if not may_take(hint, kind, is_exact=is_exact):
        raise misfit(option, function, position, names_of(_types_in(hint)), kind.__qualname__)


def misfit(option: str, function: Any, position: int, takes: str, gets: str) -> InvalidOption:
    """Return the error for a parameter that is for other values. takes, gets: the names of types."""
    cure = f"the {PLACES[position]} parameter of {name_of(function)} is annotated with {takes}, and gets {gets}"
    return InvalidOption(option, function, cure)


def may_take(hint: Any, kind: type, *, is_exact: bool) -> bool:
    """Return False if an annotation is certain to be for values of other types than a type."""
    types = _types_in(hint)
    return not types or any(_fits(each, kind, is_exact) for each in types)


def names_of(hints: Iterable[Any]) -> str:
    """Return the names of types, for errors."""
    return " or ".join(getattr(hint, "__qualname__", str(hint)) for hint in hints)


def alternatives(hint: Any) -> list[Any]:
    """Return the hints in a union, without None, and a hint that is no union alone; Any for a type variable."""
    bare, origin, args, *_ = take_apart(hint)
    if origin is Union:
        return [each for part in args for each in alternatives(part)]
    if bare is type(None):
        return []
    return [Any if isinstance(bare, TypeVar) and not (bare.__bound__ or bare.__constraints__) else bare]


def _types_in(hint: Any) -> list[Any]:
    return [] if hint is Parameter.empty else [kind for each in alternatives(hint) for kind in members(each)]


def _fits(hint: Any, kind: type, is_exact: bool) -> bool:
    if not isinstance(hint, type) or hint in WIDER or getattr(hint, "_is_protocol", False):
        return True
    return issubclass(kind, hint) or (not is_exact and issubclass(hint, kind))
