"""Handlers: they take the message or its envelope first, and further arguments by annotation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from types import FunctionType
from typing import Any, Protocol, TypeAlias, TypeVar, Union

import msgspec

from modd.core import (
    IntentOf,
    Message,
    emitted_in,
    may_emit_by,
    members,
    name_of,
    parameters_of,
    refuse_unbound,
    resolved,
    take_apart,
)
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidHandler
from modd.cqrs.returned import Returned
from modd.errors import InvalidOption
from modd.ports.transaction import Transaction, current_transaction
from modd.texts import describe

R = TypeVar("R")


Resources: TypeAlias = Mapping[Any, Any]
"""Arguments for handlers by annotation: a value, or a factory of an async context manager for each call."""


class Emit(Protocol):
    """For handlers that emit events: ``async def place(order: PlaceOrder, emit: Emit) -> int: emit(Placed(...))``."""

    def __call__(self, *events: Message) -> None:
        """Emit events; they are released when the dispatch has succeeded."""


class Ask(Protocol):
    """For handlers that ask a further intent: ``async def place(order: PlaceOrder, ask: Ask) -> int``."""

    async def __call__(self, intent: IntentOf[R], /, *stamps: Any) -> R:
        """Return the result of an intent, asked of the outermost bus around."""
        ...


class Handler(msgspec.Struct, frozen=True, eq=False):
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


class Argument(msgspec.Struct, frozen=True, eq=False):
    """The source of one further argument of a handler: a value, a factory, or the envelope."""

    name: str
    keyword: bool
    """True if it is passed by name."""
    value: Any = None
    """The value; with a factory, the annotation."""
    read: Callable[[Envelope[Any]], Any] | None = None
    """Reads it from the envelope."""
    factory: Callable[[], AbstractAsyncContextManager[Any]] | None = None
    is_default: bool = False
    hint: Any = None
    """`Emit` or `Envelope` if events can be emitted by it."""

    @property
    def is_constant(self) -> bool:
        """True if it is the same for all calls."""
        return self.read is None and self.factory is None


def types_of(handler: Any) -> tuple[type[Message], ...]:
    """Return the message types in the annotation of the first parameter. Raises `InvalidHandler` for none."""
    bare, origin, args, *_ = take_apart(_hint_of(handler, _parameters_of(handler)[0]))
    inner = args[0] if origin is Envelope and args else bare
    types = () if inner in (inspect.Parameter.empty, Envelope) else tuple(members(inner))
    if not types or not all(isinstance(kind, type) and issubclass(kind, Message) for kind in types):
        raise InvalidHandler(
            name_of(handler), "its first parameter does not say what it takes; annotate it or use register(Type, ...)"
        )
    return types


def bind_handler(function: Any, name: str | None, resources: Resources, ask: Ask, *, releases: bool) -> Handler:
    """Return a handler with its further arguments. Raises `InvalidHandler` if an argument has no source.

    name: by default the name of the function. ask: the argument for the annotation `Ask`.
    releases: True for a handler of events, which may yield.
    """
    first, *more = _parameters_of(function)
    title = name or name_of(function)
    if not releases and _yields(function):
        raise InvalidHandler(title, "it yields; return a list, or emit events")
    arguments = [_find_argument(title, function, parameter, resources, ask) for parameter in more]
    while arguments and arguments[-1].is_default and not arguments[-1].keyword:
        arguments.pop()
    positional = [argument for argument in arguments if not argument.keyword]
    keyword = [argument for argument in arguments if argument.keyword and not argument.is_default]
    takes_envelope = _is_envelope(_hint_of(function, first))
    handler = _make_handler(Returned(title, releases), title, function, takes_envelope, positional, keyword)
    emits = tuple(argument.name for argument in arguments if argument.hint is Emit)
    has_envelope = takes_envelope or any(argument.hint is Envelope for argument in arguments)
    return msgspec.structs.replace(handler, source=function, emits=emits, has_envelope=has_envelope)


def _find_argument(title: str, function: Any, parameter: inspect.Parameter, resources: Resources, ask: Ask) -> Argument:
    layers = take_apart(_hint_of(function, parameter)).layers  # a resource may be known by a `NewType` or an alias
    hint = next((layer for layer in layers if _is_resource(layer, resources)), layers[-1])
    argument = partial(Argument, parameter.name, parameter.kind is parameter.KEYWORD_ONLY)
    if not (isinstance(function, partial) and parameter.name in function.keywords):  # a bound argument stays
        if _is_envelope(hint):
            return argument(read=lambda envelope: envelope, hint=Envelope)
        if hint is Emit:
            return argument(read=lambda envelope: envelope.emit, hint=Emit)
        if hint is Ask:
            return argument(ask)
        if _is_resource(hint, resources):
            value = resources[hint]
            return argument(hint, factory=value) if _is_factory(hint, value) else argument(value)
        if hint is Transaction:
            return argument(read=lambda envelope: current_transaction(title))
    if parameter.default is parameter.empty:
        raise InvalidHandler(title, _describe_unknown(parameter, hint, resources))
    return argument(parameter.default, is_default=True)


def _yields(function: Any) -> bool:
    if isinstance(function, FunctionType):  # most handlers
        return bool(function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))
    codes = function, getattr(type(function), "__call__", None)  # noqa: B004  # the function itself is wanted
    return any(inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code) for code in codes)


def _parameters_of(function: Any) -> list[inspect.Parameter]:
    if isinstance(function, type) or not callable(function):
        raise InvalidHandler(name_of(function), "give a function or an object with __call__")
    try:
        parameters = parameters_of(function)
    except ValueError as error:
        reason = f"its parameters cannot be read ({error}); wrap it in a function"
        raise InvalidHandler(name_of(function), reason) from error
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise InvalidHandler(name_of(function), "it takes no message; give it a first parameter")
    refuse_unbound(function, parameters[0], partial(InvalidHandler, name_of(function)))
    return [parameters[0], *[p for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]]


def _hint_of(function: Any, parameter: inspect.Parameter) -> Any:
    hint = parameter.annotation
    return hint if hint is parameter.empty else _without_none(resolved(function, hint))


def _without_none(hint: Any) -> Any:
    """Return ``X`` for ``X | None``, any other hint as it is."""
    if isinstance(hint, type):  # most hints
        return hint
    parts = take_apart(hint)
    rest = [each for each in parts.args if each is not type(None)]
    return rest[0] if parts.origin is Union and len(rest) == 1 else hint


def _is_envelope(hint: Any) -> bool:
    return hint is Envelope or (not isinstance(hint, type) and take_apart(hint).origin is Envelope)


def _is_resource(hint: Any, resources: Resources) -> bool:
    try:
        return hint in resources
    except TypeError:  # a hint that cannot be hashed is no key
        return False


def _is_factory(hint: Any, value: Any) -> bool:
    """Return True if the value makes the resource: a callable that is not an instance of the hint itself."""
    origin = take_apart(hint).origin
    if origin is Callable or "__call__" in getattr(origin, "__dict__", {}):  # the resource is itself a callable
        return False
    try:
        return callable(value) and not isinstance(value, origin)
    except TypeError:  # a protocol that isinstance refuses
        return callable(value)


def _describe_unknown(parameter: inspect.Parameter, hint: Any, resources: Resources) -> str:
    names = [getattr(key, "__name__", str(key)) for key in resources]
    known = ", ".join(["Envelope", "Emit", "Ask", "Transaction", *names])
    hinted = "no annotation" if hint is parameter.empty else f"the annotation {getattr(hint, '__name__', hint)}"
    return (
        f"its parameter {parameter.name!r} has {hinted}, and this bus can provide: {known}; add it to resources={{...}}"
    )


def _make_handler(
    returned: Returned,
    title: str,
    function: Any,
    takes_envelope: bool,
    positional: Sequence[Argument],
    keyword: Sequence[Argument],
) -> Handler:
    """Return a handler that is called in the cheapest way that its arguments allow."""
    if keyword or not all(argument.is_constant for argument in positional):
        call = _call_with(returned, title, function, takes_envelope, positional, keyword)
        return Handler(title, function, call, returned)
    constants = tuple(argument.value for argument in positional)
    if takes_envelope:
        return Handler(title, function, lambda envelope: function(envelope, *constants), returned)
    if constants:
        return Handler(title, lambda message: function(message, *constants), None, returned)
    return Handler(title, function, None, returned)


def _call_with(
    returned: Returned,
    title: str,
    function: Any,
    takes_envelope: bool,
    positional: Sequence[Argument],
    keyword: Sequence[Argument],
) -> Callable[[Envelope[Any]], Any]:
    factories = {argument.value: argument.factory for argument in (*positional, *keyword) if argument.factory}

    def call(envelope: Envelope[Any], entered: Mapping[Any, Any]) -> Any:
        def value_of(argument: Argument) -> Any:
            if argument.factory is not None:
                return entered[argument.value]
            return argument.value if argument.read is None else argument.read(envelope)

        first = envelope if takes_envelope else envelope.message
        named = {argument.name: value_of(argument) for argument in keyword}
        return function(first, *map(value_of, positional), **named)

    async def call_inside(envelope: Envelope[Any]) -> Any:
        swallowed: BaseException
        async with AsyncExitStack() as stack:
            try:
                entered = {key: await _enter(stack, title, key, factory) for key, factory in factories.items()}
                result = call(envelope, entered)
                return await returned.settle(result)  # before the resources are left
            except BaseException as error:
                swallowed = error
                raise
        raise swallowed  # a resource suppressed the error, but there is no result to go on with

    return call_inside if factories else lambda envelope: call(envelope, {})


async def _enter(stack: AsyncExitStack, title: str, key: Any, factory: Callable[[], Any]) -> Any:
    manager: Any = factory()
    if not hasattr(type(manager), "__aenter__"):
        name = getattr(key, "__name__", key)
        raise InvalidHandler(title, f"its resource {name} is made by {describe(factory)}: no async context manager")
    return await stack.enter_async_context(manager)


def checked_resources(resources: Any) -> Resources:
    """Return the resources, without None. Raises `InvalidOption` for anything but a mapping."""
    if resources is not None and not isinstance(resources, Mapping):
        raise InvalidOption("resources", resources, "give a mapping from type to value or factory")
    return dict(resources or {})
