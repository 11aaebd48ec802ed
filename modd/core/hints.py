"""Type hints: the hint of a parameter with its names looked up, and the plain types in a hint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType, WrapperDescriptorType
from typing import Any, ForwardRef, TypeVar, Union, get_args, get_origin, get_type_hints

from modd.core.field_hints import substitute, take_apart
from modd.core.message import Message


def members(hint: Any, _inside: tuple[int, ...] = ()) -> Iterator[Any]:
    """Yield the plain types in a hint: it takes apart unions, Annotated, NewType, aliases, type variables, generics.

    Raises ``NameError`` for a name that is not defined.
    """
    bare, origin, args, *_ = take_apart(hint)
    if id(hint) in _inside or bare is type(None):  # the first: a type alias that names itself
        return
    if isinstance(bare, TypeVar):
        args = tuple(_looked_up(bound, bare) for bound in _bounds_of(bare))
    elif isinstance(bare, str):
        raise NameError(f"name {bare!r} is not defined")
    elif origin is not Union:
        yield origin
        return
    for part in args:
        yield from members(part, (*_inside, id(hint)))


def evaluated(component: Any, annotation: Any) -> Any:
    """Return an annotation of a callable with its names looked up, where the annotation was written.

    A type variable of a generic base is replaced by the type that the class of the component names. Raises the errors
    of the look-up.
    """
    function, owner = function_of(component)
    definer = None if owner is None else _definer_of(function, owner)
    if isinstance(annotation, str) and annotation.isidentifier():  # most are: to evaluate text takes ten times as long
        global_names, around = _namespaces(function, definer)
        annotation = around.get(annotation, global_names.get(annotation, annotation))
    if not isinstance(annotation, type):  # a name, or names inside it
        annotation = _with_names(annotation, *_namespaces(function, definer))
    if definer is not None:
        kind = getattr(owner, "__orig_class__", None)  # of ``Handler[Ordered]()``
        whole = kind if get_origin(kind) is type(owner) else owner if isinstance(owner, type) else type(owner)
        annotation = substitute(annotation, _arguments_for(definer, whole))
    return annotation


def function_of(component: Any, owner: Any = None) -> tuple[Any, Any]:
    """Return the function that has the annotations of a component, and the object or class that it is a method of."""
    if isinstance(component, partial):
        return function_of(component.func, owner)
    if isinstance(component, MethodType):
        return function_of(component.__func__, component.__self__)
    if hasattr(component, "__wrapped__"):
        return function_of(component.__wrapped__, owner)
    if isinstance(component, FunctionType) or isinstance(type(component).__call__, WrapperDescriptorType):
        return component, owner
    return function_of(type(component).__call__, component)


def _with_names(annotation: Any, global_names: dict[str, Any], local_names: dict[str, Any]) -> Any:
    holder: Any = type("holder", (), {"__annotations__": {"hint": annotation}})
    return get_type_hints(holder, global_names, local_names, include_extras=True)["hint"]


def _looked_up(hint: Any, owner: Any) -> Any:
    """Return a hint that may be a name in the module of its owner: a type variable, a NewType or a class."""
    if not isinstance(hint, (str, ForwardRef)):
        return hint
    text = hint if isinstance(hint, str) else hint.__forward_arg__
    return _with_names(text, vars(sys.modules[owner.__module__]), {})


def _bounds_of(variable: Any) -> tuple[Any, ...]:
    if getattr(variable, "has_default", bool)():
        return (variable.__default__,)
    return variable.__constraints__ or (variable.__bound__ or Message,)


def _definer_of(function: Any, owner: Any) -> Any:
    """Return the generic class that a method is written in, if it is one or has a generic base."""
    kinds = (owner if isinstance(owner, type) else type(owner)).__mro__
    if not any("__orig_bases__" in vars(kind) for kind in kinds):
        return None
    return next((kind for kind in kinds if any(function_of(each)[0] is function for each in _methods_of(kind))), None)


def _methods_of(kind: type) -> Iterator[Any]:
    for each in vars(kind).values():
        if isinstance(each, (FunctionType, classmethod, staticmethod)) or hasattr(each, "__wrapped__"):
            yield each


def _arguments_for(definer: Any, kind: Any) -> dict[Any, Any]:
    """Return the types that a class, or a generic with arguments, names for the type variables of one of its bases."""
    origin = get_origin(kind) or kind
    values = _zipped(getattr(origin, "__parameters__", ()), get_args(kind))
    if origin is definer:
        return values
    found: dict[Any, Any] = {}
    for base in vars(origin).get("__orig_bases__", origin.__bases__):
        inner = get_origin(base) or base
        if definer in getattr(inner, "__mro__", ()):
            arguments = tuple(substitute(_looked_up(each, origin), values) for each in get_args(base))
            generic: Any = inner
            found = _arguments_for(definer, generic[arguments] if arguments else generic) | found
    return found


def _zipped(variables: tuple[Any, ...], values: tuple[Any, ...]) -> dict[Any, Any]:
    return dict(zip(variables, values, strict=False)) if len(variables) == len(values) else {}


def _namespaces(function: Any, definer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the namespaces of a postponed annotation: the globals of the function's module, and what is around it."""
    parameters = (*getattr(definer, "__type_params__", ()), *getattr(function, "__type_params__", ()))
    around: dict[str, Any] = {variable.__name__: variable for variable in parameters}
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        with suppress(ValueError):  # not there yet: the bus that the component is being given to, for example
            around[name] = cell.cell_contents
    module = sys.modules.get(getattr(function, "__module__", None) or "", None)
    return getattr(function, "__globals__", vars(module) if module else {}), around
