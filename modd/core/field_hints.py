"""Hints of fields, taken apart: one function for every module that looks into the type of a value."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from inspect import get_annotations
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Generic,
    NamedTuple,
    NewType,
    NotRequired,
    Protocol,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

_QUALIFIERS = (Required, NotRequired, ClassVar, Final)
_MOST_LAYERS = 100
"""Only a ``type`` alias that stands for itself has more."""


class Hint(NamedTuple):
    """A hint without the wrappers that say nothing about the type of a value."""

    bare: Any
    """The hint without ``Annotated``, ``NewType``, ``type`` aliases, and qualifiers such as ``Required``."""
    origin: Any
    """The class, or the special form; ``Union`` for both kinds of unions."""
    args: tuple[Any, ...]
    """The members of a union, or the type arguments of a generic."""
    metadata: tuple[Any, ...]
    """The metadata of every ``Annotated`` around it."""
    layers: Sequence[Any]
    """The hint as it was written, then with one wrapper less after the other, down to `bare`."""


def take_apart(hint: Any) -> Hint:
    """Return the parts of a hint."""
    metadata: tuple[Any, ...] = ()
    layers: list[Any] = []
    while len(layers) < _MOST_LAYERS:
        layers.append(hint)
        if isinstance(hint, type):  # most hints by far
            return Hint(hint, hint, (), metadata, layers)
        origin, args = get_origin(hint), get_args(hint)
        if origin is Annotated:
            metadata, hint = (*hint.__metadata__, *metadata), args[0]
        elif isinstance(hint, NewType):
            hint = _supertype_of(hint)
        elif origin in _QUALIFIERS:
            hint = args[0]
        elif _is_alias(hint):
            hint = hint.__value__
        elif _is_alias(origin):
            hint = substitute(origin.__value__, dict(zip(origin.__type_params__, args, strict=False)))
        else:
            return Hint(hint, Union if origin is UnionType else origin or hint, args, metadata, layers)
    return Hint(hint, hint, (), metadata, layers)


def substitute(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    """Return a hint with type variables replaced; variables without an argument stay."""
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    variables = getattr(hint, "__parameters__", ())
    if isinstance(hint, type) or not variables:  # a class has the parameters that others give it arguments for
        return hint
    return hint[tuple(arguments.get(variable, variable) for variable in variables)]


def hints_of_fields(kind: Any) -> dict[str, Any]:
    """Return the hints of all annotated names of a class, or of a generic class with its arguments.

    Type variables of generic bases are replaced. A hint that cannot be resolved is its text.
    """
    origin = get_origin(kind) or kind
    arguments = _arguments_of(kind)
    hints: dict[str, Any] = {}
    for base in reversed(origin.__mro__):
        bound = {
            variable: hint
            for (owner, variable), hint in arguments.items()
            if owner is base or owner not in origin.__mro__  # the bases of a TypedDict are merged into it
        }
        for name, annotation in get_annotations(base).items():
            hints[name] = substitute(_hint_of(base, annotation), bound)
    return hints


def names_in(text: str, place: type) -> list[Any]:
    """Return the values of the names in the text of a hint that cannot be resolved, as far as they can be found."""
    names = "".join(letter if letter.isidentifier() or letter.isdigit() else " " for letter in text).split()
    namespace = vars(sys.modules.get(place.__module__, place))
    return [namespace[name] for name in names if name in namespace]


def _is_alias(hint: Any) -> bool:
    """Return True for a ``type`` alias, be it from typing or from typing_extensions."""
    return type(hint).__name__ == "TypeAliasType"


def _supertype_of(new_type: NewType) -> Any:
    supertype: Any = new_type.__supertype__
    return _hint_of(new_type, supertype) if isinstance(supertype, (str, ForwardRef)) else supertype


def _arguments_of(kind: Any) -> dict[tuple[Any, Any], Any]:
    """Return the argument for each type variable of the generic classes in and above a class."""
    arguments: dict[tuple[Any, Any], Any] = {}
    pending = [kind]
    while pending:
        owner, values = get_origin(pending[0]) or pending[0], get_args(pending.pop(0))
        for variable, value in zip(getattr(owner, "__parameters__", ()), values, strict=False):
            arguments.setdefault((owner, variable), value)
        bound = {variable: hint for (each, variable), hint in arguments.items() if each is owner}
        bases = vars(owner).get("__orig_bases__", getattr(owner, "__bases__", ()))
        pending += [substitute(base, bound) for base in bases if get_origin(base) not in (Generic, Protocol)]
    return arguments


def _hint_of(kind: Any, annotation: Any) -> Any:
    """Return an annotation with its names looked up in the module of its class, then in the class; else its text."""
    text = getattr(annotation, "__forward_arg__", annotation)
    holder: Any = type("holder", (), {"__annotations__": {"field": text}})
    module = vars(sys.modules.get(kind.__module__, kind))
    try:
        return get_type_hints(holder, dict(vars(kind)), dict(module), include_extras=True)["field"]
    except Exception:  # a hint that only type checkers can resolve: its text still tells
        return text
