"""The flow of messages as far as the code tells it: types that components may return, and intents that they ask."""

from __future__ import annotations

import dis
import inspect
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from itertools import takewhile
from types import CodeType, EllipsisType, NoneType
from typing import Any, get_args

from modd.core.annotations import resolved
from modd.core.answerer import Answerer
from modd.core.component import Part
from modd.core.field_hints import take_apart
from modd.core.hints import function_of, members
from modd.core.message import Intent, Message

_ASKING = ("ask", "dispatch")
"""The names of functions and methods whose first argument is an intent."""

_LOOK_UP = ("LOAD_GLOBAL", "LOAD_DEREF")
"""Instructions that look up a name outside of the function."""

_BETWEEN = ("CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL", "RESUME")
"""Instructions that may stand between the name of a function and the name of its first argument."""


def may_emit(component: Any, kind: type[Message]) -> bool:
    """Return False if a component of a bus is known to return, emit or let out no message of a type."""
    if isinstance(component, Answerer):
        return component.may_emit(kind)
    if isinstance(component, Part):
        bus: Any = component
        return not component.is_bus or any(_overlap(kind, each) for each in bus.outbound)
    return may_return(component, kind)


def may_return(function: Callable[..., Any], kind: type[Message]) -> bool:
    """Return False if the annotation of a function says that it returns no message of a type."""
    try:
        annotation = inspect.signature(function).return_annotation
        return annotation is inspect.Signature.empty or _may_be(resolved(function, annotation), kind)
    except Exception:  # a builtin, or a name that cannot be found: nothing is known
        return True


def asked_by(component: Any) -> Iterator[type[Message]]:
    """Yield the intents that a component is known to ask: those made in a call of ``ask``, as ``ask(GetUser(1))``."""
    own = () if isinstance(component, Part) else (component,)
    for each in component.functions if isinstance(component, Answerer) else own:
        function = function_of(each)[0]
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            yield from _asked_in(code, ChainMap(_closure_of(function), function.__globals__))


def _asked_in(code: CodeType, names: Mapping[str, Any]) -> Iterator[type[Message]]:
    instructions = [each for each in dis.get_instructions(code) if each.opname not in _BETWEEN]
    for at, instruction in enumerate(instructions[:-1]):
        first = instructions[at + 1]
        if instruction.argval in _ASKING and first.opname in _LOOK_UP and first.argval in names:
            attributes = takewhile(lambda each: each.opname in ("LOAD_ATTR", "LOAD_METHOD"), instructions[at + 2 :])
            value = reduce(lambda value, each: getattr(value, each.argval, None), attributes, names[first.argval])
            if isinstance(value, type) and issubclass(value, Intent):
                yield value
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _asked_in(constant, names)


def _closure_of(function: Any) -> dict[str, Any]:
    """Return the values of the variables that a function takes from around it, as far as they have values."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not there yet
            found[name] = cell.cell_contents
    return found


def _may_be(hint: Any, kind: type[Message]) -> bool:
    hint = take_apart(hint).bare
    if hint is None or hint is NoneType:
        return False
    if isinstance(hint, type) and issubclass(hint, Message):
        return _overlap(kind, hint)
    parts = [each for each in get_args(hint) if not isinstance(each, EllipsisType)]
    if not parts:
        return [*members(hint)] == [hint] or any(_may_be(each, kind) for each in members(hint))
    return any(_may_be(each, kind) for each in parts)


def _overlap(kind: type, other: type) -> bool:
    return issubclass(kind, other) or issubclass(other, kind)
