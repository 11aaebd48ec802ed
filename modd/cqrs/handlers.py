"""Handlers: they take the message or its envelope first, and further arguments by annotation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any

import msgspec

from modd.core import Message, emitted_in, may_emit_by, members, name_of, take_apart
from modd.cqrs.arguments import (
    Argument,
    Ask,
    Emit,
    Resources,
    call_inside,
    factories_of,
    find_argument,
    handler_parameters,
    hint_of,
    is_envelope,
)
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidHandler
from modd.cqrs.returned import Returned


class BoundHandler(msgspec.Struct, frozen=True, eq=False):
    """A callable that handles intents, with its arguments."""

    name: str
    function: Callable[..., Any]
    """The callable; it takes the message alone if there is no `call`."""
    call: Callable[[Envelope[Any]], Any] | None
    """Calls the function with the arguments that an envelope provides."""
    returned: Returned
    """Takes the values that it returns."""
    source: Callable[..., Any] | None = None
    """The callable as it was registered."""
    emits: tuple[str, ...] = ()
    """The names of its arguments of the type `Emit`."""
    has_envelope: bool = False
    """True if it has an argument that is the envelope, by which it can emit events, too."""

    @property
    def emitted(self) -> tuple[type[Message], ...]:
        """The types of event that its code is known to emit."""
        names = (*self.emits, *(["emit"] if self.has_envelope else []))
        return () if not names or self.source is None else tuple(emitted_in(self.source, names))

    def may_emit(self, kind: type[Message]) -> bool:
        """Return False if its code is known to emit no event of a type."""
        if self.has_envelope or self.source is None:
            return self.has_envelope
        return bool(self.emits) and may_emit_by(self.source, self.emits, kind)


def types_of(handler: Any) -> tuple[type[Message], ...]:
    """Return the message types in the annotation of the first parameter. Raises `InvalidHandler` for none."""
    bare, origin, args, *_ = take_apart(hint_of(handler, handler_parameters(handler)[0]))
    inner = args[0] if origin is Envelope and args else bare
    types = () if inner in (inspect.Parameter.empty, Envelope) else tuple(members(inner))
    if not types or not all(isinstance(kind, type) and issubclass(kind, Message) for kind in types):
        raise InvalidHandler(
            name_of(handler), "its first parameter does not say what it takes; annotate it or use register(Type, ...)"
        )
    return types


def bind_handler(function: Any, name: str | None, resources: Resources, ask: Ask, *, releases: bool) -> BoundHandler:
    """Return a handler with its further arguments. Raises `InvalidHandler` if an argument has no source.

    name: by default the name of the function. ask: the argument for the annotation `Ask`.
    releases: True for a handler of events, which may yield.
    """
    first, *more = handler_parameters(function)
    title = name or name_of(function)
    if not releases and yields(function):
        raise InvalidHandler(title, "it yields; return a list, or emit events")
    arguments = [find_argument(title, function, parameter, resources, ask) for parameter in more]
    while arguments and arguments[-1].is_default and not arguments[-1].keyword:
        arguments.pop()
    positional = [argument for argument in arguments if not argument.keyword]
    keyword = [argument for argument in arguments if argument.keyword and not argument.is_default]
    takes_envelope = is_envelope(hint_of(function, first))
    handler = _make_handler(Returned(title, releases), title, function, takes_envelope, positional, keyword)
    emits = tuple(argument.name for argument in arguments if argument.hint is Emit)
    has_envelope = takes_envelope or any(argument.hint is Envelope for argument in arguments)
    return msgspec.structs.replace(handler, source=function, emits=emits, has_envelope=has_envelope)


def yields(function: Any) -> bool:
    """Return True for a generator function, and for an object with one as its call."""
    if isinstance(function, FunctionType):  # most handlers
        return bool(function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))
    codes = function, getattr(type(function), "__call__", None)  # noqa: B004  # the function itself is wanted
    return any(inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code) for code in codes)


def _make_handler(
    returned: Returned,
    title: str,
    function: Any,
    takes_envelope: bool,
    positional: Sequence[Argument],
    keyword: Sequence[Argument],
) -> BoundHandler:
    """Return a handler that is called in the cheapest way that its arguments allow."""
    if keyword or not all(argument.is_constant for argument in positional):
        call = _call_with(returned, title, function, takes_envelope, positional, keyword)
        return BoundHandler(title, function, call, returned)
    constants = tuple(argument.value for argument in positional)
    if takes_envelope and not constants:
        return BoundHandler(title, function, function, returned)
    if takes_envelope:
        return BoundHandler(title, function, lambda envelope: function(envelope, *constants), returned)
    if constants:
        return BoundHandler(title, lambda message: function(message, *constants), None, returned)
    return BoundHandler(title, function, None, returned)


def _call_with(
    returned: Returned,
    title: str,
    function: Any,
    takes_envelope: bool,
    positional: Sequence[Argument],
    keyword: Sequence[Argument],
) -> Callable[[Envelope[Any]], Any]:
    factories = factories_of((*positional, *keyword))

    def call(envelope: Envelope[Any], entered: Mapping[Any, Any]) -> Any:
        first = envelope if takes_envelope else envelope.message
        named = {argument.name: argument.value_for(envelope, entered) for argument in keyword}
        return function(first, *[argument.value_for(envelope, entered) for argument in positional], **named)

    if factories:
        return lambda envelope: call_inside(title, factories, partial(call, envelope), returned.settle)
    return lambda envelope: call(envelope, {})
