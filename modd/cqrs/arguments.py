"""The further arguments of handlers, behind the message: found by annotation, and filled for each call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar, Union

import msgspec

from modd.core import IntentOf, Message, name_of, parameters_of, refuse_unbound, resolved, take_apart
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidHandler
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

    def value_for(self, envelope: Envelope[Any], entered: Mapping[Any, Any]) -> Any:
        """Return its value for a call. entered: the entered resources, by annotation."""
        if self.factory is not None:
            return entered[self.value]
        return self.value if self.read is None else self.read(envelope)


def factories_of(arguments: Iterable[Argument]) -> dict[Any, Callable[[], Any]]:
    """Return the factories among arguments, by annotation."""
    return {argument.value: argument.factory for argument in arguments if argument.factory is not None}


async def call_inside(
    title: str,
    factories: Mapping[Any, Callable[[], Any]],
    call: Callable[[Mapping[Any, Any]], Any],
    settle: Callable[[Any], Awaitable[Any]],
) -> Any:
    """Make resources, call a handler with them, and return its settled result before they are left again.

    title: the name of the handler. call: takes the entered resources by annotation.
    """
    swallowed: BaseException
    async with AsyncExitStack() as stack:
        try:
            entered = {key: await _enter(stack, title, key, factory) for key, factory in factories.items()}
            return await settle(call(entered))
        except BaseException as error:
            swallowed = error
            raise
    raise swallowed  # a resource suppressed the error, but there is no result to go on with


def find_argument(
    title: str, function: Any, parameter: inspect.Parameter, resources: Resources, ask: Ask | None = None
) -> Argument:
    """Return the argument for a parameter, by its annotation or its default. Raises `InvalidHandler` without a source.

    title: the name of the handler. ask: the argument for the annotation `Ask`; None, the default, for a function that
    is called for no envelope: its arguments are resources and the transaction.
    """
    layers = take_apart(hint_of(function, parameter)).layers  # a resource may be known by a `NewType` or an alias
    hint = next((layer for layer in layers if _is_resource(layer, resources)), layers[-1])
    argument = partial(Argument, parameter.name, parameter.kind is parameter.KEYWORD_ONLY)
    if not (isinstance(function, partial) and parameter.name in function.keywords):  # a bound argument stays
        of_envelope = None if ask is None else _find_in_envelope(argument, hint, ask)
        if of_envelope is not None:
            return of_envelope
        if _is_resource(hint, resources):
            value = resources[hint]
            return argument(hint, factory=value) if _is_factory(hint, value) else argument(value)
        if hint is Transaction:
            return argument(read=lambda envelope: current_transaction(title))
    if parameter.default is parameter.empty:
        raise InvalidHandler(title, _describe_unknown(parameter, hint, resources, ask is not None))
    return argument(parameter.default, is_default=True)


def _find_in_envelope(argument: Callable[..., Argument], hint: Any, ask: Ask) -> Argument | None:
    if is_envelope(hint):
        return argument(read=lambda envelope: envelope, hint=Envelope)
    if hint is Emit:
        return argument(read=lambda envelope: envelope.emit, hint=Emit)
    return argument(ask) if hint is Ask else None


def handler_parameters(function: Any) -> list[inspect.Parameter]:
    """Return the parameters of a handler, without ``*args`` and ``**kwargs``. Raises `InvalidHandler` for no first."""
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


def hint_of(function: Any, parameter: inspect.Parameter) -> Any:
    """Return the annotation of a parameter, resolved, and without None."""
    hint = parameter.annotation
    return hint if hint is parameter.empty else _without_none(resolved(function, hint))


def _without_none(hint: Any) -> Any:
    """Return ``X`` for ``X | None``, any other hint as it is."""
    if isinstance(hint, type):  # most hints
        return hint
    parts = take_apart(hint)
    rest = [each for each in parts.args if each is not type(None)]
    return rest[0] if parts.origin is Union and len(rest) == 1 else hint


def is_envelope(hint: Any) -> bool:
    """Return True for the annotation of an envelope."""
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


def _describe_unknown(parameter: inspect.Parameter, hint: Any, resources: Resources, has_envelope: bool) -> str:
    names = ["Transaction", *(getattr(key, "__name__", str(key)) for key in resources)]
    provider, known = ("this bus", ["Envelope", "Emit", "Ask", *names]) if has_envelope else ("the handler", names)
    hinted = "no annotation" if hint is parameter.empty else f"the annotation {getattr(hint, '__name__', hint)}"
    return (
        f"its parameter {parameter.name!r} has {hinted}, and {provider} can provide: {', '.join(known)}; "
        "add it to resources={...}"
    )


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
