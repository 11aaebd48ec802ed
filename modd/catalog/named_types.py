"""The message types that the code of functions names: the events that they record, and the commands that they send.

It is read from the names in the code and nothing is run, so a type that is found otherwise is missing, and a type that
is only compared with is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from inspect import getattr_static
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from modd.core import Message

OWN = __name__.partition(".")[0]
"""The package of modd itself, whose functions name no types of users."""


def types_named_in(
    functions: Iterable[Callable[..., Any]], base: type[Message], near: Iterable[type[Message]] = ()
) -> list[type[Message]]:
    """Return the types derived from a base that the code of functions names, in the functions that they call, too.

    Only functions of the same packages are looked into. near: types in further packages; by default none.
    """
    found: dict[type[Message], None] = {}
    packages = {_package_of(each) for each in near}
    for function in functions:
        for value in _values_named_in(function, packages):
            if isinstance(value, type) and issubclass(value, base) and value is not base:
                found[value] = None
    return [*found]


def _values_named_in(function: Any, packages: set[str]) -> Iterator[Any]:
    """Yield the values that a function names, and those that the functions that it names do."""
    plain = _plain_function(function)
    packages = (packages | {_package_of(plain)}) - {OWN}
    pending, seen = [plain], set[int]()
    while pending:
        plain = pending.pop(0)
        if plain is None or id(plain) in seen:
            continue
        seen.add(id(plain))
        for value in _values_of_names(plain):
            yield value
            inner = _plain_function(value)
            if _package_of(inner) in packages:
                pending.append(inner)


def _values_of_names(function: FunctionType) -> Iterator[Any]:
    """Yield the values of the names in a function: global ones, those around it, and attributes of modules."""
    for cell in function.__closure__ or ():
        yield from _content_of(cell)
    for name in _names_in(function.__code__):
        value = function.__globals__.get(name)
        yield value
        if isinstance(value, ModuleType):
            # not by getattr, because a module may import an attribute late
            yield from (vars(value).get(each) for each in _names_in(function.__code__))


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _content_of(cell: Any) -> Iterator[Any]:
    try:
        yield cell.cell_contents
    except ValueError:  # not there yet
        return


def plain_callable(value: Any) -> Any:
    """Return the function in a partial, a method, or a callable that wraps another one; any other value as it is.

    Attributes are looked up without running code, because values may be proxies that have every attribute.
    """
    seen = set[int]()
    while id(value) not in seen:
        seen.add(id(value))
        if isinstance(value, (partial, MethodType)):
            value = value.func if isinstance(value, partial) else value.__func__
        elif not isinstance(value, type):
            value = getattr_static(value, "__wrapped__", value)
    return value


def _plain_function(value: Any) -> FunctionType | None:
    """Return the function in a callable; None for a class, and for all without code."""
    value = plain_callable(value)
    if not isinstance(value, (FunctionType, type)) and callable(value):
        value = getattr_static(type(value), "__call__", None)
    return value if isinstance(value, FunctionType) else None


def _package_of(value: Any) -> str:
    """Return the name of the outermost package of a function or a class; "" without one."""
    return (getattr(value, "__module__", None) or "").partition(".")[0]
