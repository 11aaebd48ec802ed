"""The flow of messages as far as the code tells it: types that components may return or emit, and intents they ask."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from types import EllipsisType, NoneType
from typing import Any, get_args

from modd.core.annotations import resolved
from modd.core.answerer import Answerer
from modd.core.bytecode import uses_of
from modd.core.component import Part
from modd.core.field_hints import take_apart
from modd.core.hints import members
from modd.core.message import Intent, Message

_ASKING = ("ask", "dispatch")
"""The names of functions and methods whose first argument is an intent."""


def may_emit(component: Any, kind: type[Message]) -> bool:
    """Return False if a component of a bus is known to return, emit or let out no message of a type."""
    if isinstance(component, Answerer):
        return component.may_emit(kind)
    if isinstance(component, Part):
        bus: Any = component
        return not component.is_bus or any(_overlap(kind, each) for each in bus.outbound)
    return may_return(component, kind)


def emitted_by(component: Any) -> Iterator[type[Message]]:
    """Yield the types of message that a component of a bus is known to return, emit or let out in its turns."""
    if isinstance(component, Answerer):
        yield from component.emitted
    elif not isinstance(component, Part):
        yield from returned_by(component)
    elif component.is_bus:
        bus: Any = component
        found = (kind for each in component.components for kind in emitted_by(each))
        yield from (kind for kind in found if issubclass(kind, bus.outbound))


def may_return(function: Callable[..., Any], kind: type[Message]) -> bool:
    """Return False if the annotation of a function says that it returns no message of a type."""
    return any(each is None or _overlap(kind, each) for each in _returned_types(function))


def returned_by(function: Callable[..., Any]) -> Iterator[type[Message]]:
    """Yield the types of message in the annotation of what a function returns."""
    return (each for each in _returned_types(function) if each is not None)


def may_emit_by(function: Callable[..., Any], names: Sequence[str], kind: type[Message]) -> bool:
    """Return False if a function is known to emit no message of a type by arguments with these names.

    That is known if it calls them, with one message each time that is made right there: ``emit(Placed(1))``.
    """
    uses = [*uses_of(function, names)]
    return not uses or any(use.kind is None or not use.alone or _overlap(kind, use.kind) for use in uses)


def emitted_in(function: Callable[..., Any], names: Sequence[str]) -> Iterator[type[Message]]:
    """Yield the types of message that a function is known to emit by arguments, or by methods, with these names."""
    return (use.kind for use in uses_of(function, names) if use.kind is not None)


def may_send(component: Any) -> bool:
    """Return False if a component is known to return and to send nothing: its functions are sync and have no result."""
    if isinstance(component, Part) and not isinstance(component, Answerer):
        return True
    functions = component.functions if isinstance(component, Answerer) else (component,)
    return any(inspect.iscoroutinefunction(each) or may_return(each, Message) for each in functions)


def asked_by(component: Any) -> Iterator[type[Message]]:
    """Yield the intents that a component is known to ask: those made in a call of ``ask``, as ``ask(GetUser(1))``."""
    own = () if isinstance(component, Part) else (component,)
    for each in component.functions if isinstance(component, Answerer) else own:
        yield from (kind for kind in emitted_in(each, _ASKING) if issubclass(kind, Intent))


def _returned_types(function: Callable[..., Any]) -> list[type[Message] | None]:
    """Return the types of message in the annotation of what a function returns; None stands for any message."""
    try:
        annotation = inspect.signature(function).return_annotation
        return [None] if annotation is inspect.Signature.empty else [*_types_in(resolved(function, annotation))]
    except Exception:  # a builtin, or a name that cannot be found: nothing is known
        return [None]


def _types_in(hint: Any) -> Iterator[type[Message] | None]:
    hint = take_apart(hint).bare
    if hint is None or hint is NoneType:
        return
    if isinstance(hint, type) and issubclass(hint, Message):
        yield hint
        return
    parts = [each for each in get_args(hint) if not isinstance(each, EllipsisType)] or [*members(hint)]
    if parts == [hint]:
        yield None
    else:
        for each in parts:
            yield from _types_in(each)


def _overlap(kind: type, other: type) -> bool:
    return issubclass(kind, other) or issubclass(other, kind)
