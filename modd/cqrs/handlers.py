"""What handlers take: the message or its envelope first, and further parameters filled by their annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from types import UnionType
from typing import Any, Protocol, TypeVar, Union, get_args, get_origin

import msgspec

from modd.core import IntentOf, Message, members, name_of, resolved
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidHandler
from modd.errors import describe
from modd.ports.transaction import Transaction, current_transaction

R = TypeVar("R")


class Emit(Protocol):
    """For handlers that emit events: ``async def place(order: PlaceOrder, emit: Emit) -> int: emit(Placed(...))``."""

    def __call__(self, *events: Message) -> None:
        """Have events released when all has gone well."""


class Ask(Protocol):
    """For handlers that need an answer from elsewhere: ``async def place(order: PlaceOrder, ask: Ask) -> int``."""

    async def __call__(self, intent: IntentOf[R], /, *stamps: Any) -> R:
        """Ask the outermost bus around."""
        ...


def types_of(handler: Any) -> tuple[type[Message], ...]:
    """The message types in the annotation of a handler's first parameter."""
    hint = _hint_of(handler, _parameters(handler)[0])
    inner = get_args(hint)[0] if get_origin(hint) is Envelope else hint
    types = () if inner in (inspect.Parameter.empty, Envelope) else tuple(members(inner))
    if not types or not all(isinstance(kind, type) and issubclass(kind, Message) for kind in types):
        raise InvalidHandler(
            name_of(handler), "its first parameter does not say what it takes; annotate it or use register(Type, ...)"
        )
    return types


def bound(handler: Any, name: str | None, resources: Resources, ask: Ask) -> Handler:
    """A handler with its further parameters filled. Raises `InvalidHandler` for one that nothing can fill."""
    first, *more = _parameters(handler)
    title = name or name_of(handler)
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in _functions(handler)):
        raise InvalidHandler(title, "it yields; return a list, or emit events")
    whole = _is_envelope(_hint_of(handler, first))
    sources = [_source(title, handler, parameter, resources, ask) for parameter in more]
    while sources and not (sources[-1].filled or sources[-1].keyword):
        sources.pop()
    positional = [source for source in sources if not source.keyword]
    keyword = [source for source in sources if source.keyword and source.filled]
    return handler_with(title, handler, whole, positional, keyword)


def _source(title: str, handler: Any, parameter: inspect.Parameter, resources: Resources, ask: Ask) -> Source:
    name, keyword, hint = parameter.name, parameter.kind is parameter.KEYWORD_ONLY, _hint_of(handler, parameter)
    if not (isinstance(handler, partial) and name in handler.keywords):  # what is bound already stays
        if _is_envelope(hint):
            return Source(name, keyword, fill=lambda envelope: envelope)
        if hint is Emit:
            return Source(name, keyword, fill=lambda envelope: envelope.emit)
        if hint is Ask:
            return Source(name, keyword, ask)
        if hint is Transaction and not _known(hint, resources):
            return Source(name, keyword, fill=lambda envelope: current_transaction(title))
        if _known(hint, resources):
            value = resources[hint]
            if is_factory(hint, value):
                return Source(name, keyword, hint, factory=value)
            return Source(name, keyword, value)
    if parameter.default is parameter.empty:
        raise InvalidHandler(title, _unknown(parameter, hint, resources))
    return Source(name, keyword, parameter.default, filled=False)


def _functions(handler: Any) -> tuple[Any, ...]:
    """What runs when the handler is called."""
    return (handler, getattr(type(handler), "__call__", None))  # noqa: B004  # which function, not whether


def _parameters(handler: Any) -> list[inspect.Parameter]:
    if isinstance(handler, type) or not callable(handler):
        raise InvalidHandler(name_of(handler), "give a function or an object with __call__")
    try:
        parameters = [*inspect.signature(handler).parameters.values()]
    except ValueError as error:
        reason = f"its parameters cannot be read ({error}); wrap it in a function"
        raise InvalidHandler(name_of(handler), reason) from error
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise InvalidHandler(name_of(handler), "it takes no message; give it a first parameter")
    return [parameters[0], *[p for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]]


def _hint_of(handler: Any, parameter: inspect.Parameter) -> Any:
    hint = parameter.annotation
    return hint if hint is parameter.empty else _without_none(resolved(handler, hint))


def _without_none(hint: Any) -> Any:
    """What may also be None, as what it is otherwise."""
    rest = [each for each in get_args(hint) if each is not type(None)]
    return rest[0] if get_origin(hint) in (Union, UnionType) and len(rest) == 1 else hint


def _is_envelope(hint: Any) -> bool:
    return hint is Envelope or get_origin(hint) is Envelope


def _known(hint: Any, resources: Resources) -> bool:
    try:
        return hint in resources
    except TypeError:  # what cannot be hashed is no key
        return False


def _unknown(parameter: inspect.Parameter, hint: Any, resources: Resources) -> str:
    given = [getattr(key, "__name__", str(key)) for key in resources]
    known = ", ".join(["Envelope", "Emit", "Ask", "Transaction", *given])
    hinted = "no annotation" if hint is parameter.empty else f"the annotation {getattr(hint, '__name__', hint)}"
    return f"its parameter {parameter.name!r} has {hinted}, and this bus can fill: {known}; add it to resources={{...}}"


Call = Callable[[Envelope[Any]], Any]
"""A handler with all that it takes but the envelope; gives back its result or an awaitable of it."""


Factory = Callable[[], AbstractAsyncContextManager[Any]]


Resources = Mapping[Any, Any]
"""What handlers may ask for: a value by its type, or what makes an async context manager for each call."""


class Handler(msgspec.Struct, frozen=True, eq=False):
    """A callable that handles intents, ready to be called."""

    name: str
    function: Callable[..., Any]
    call: Call | None
    """How to call it with an envelope; None when it takes the message and nothing else."""


class Source(msgspec.Struct, frozen=True, eq=False):
    """Where what fills a parameter comes from."""

    name: str
    keyword: bool
    """Whether it is given by name."""
    value: Any = None
    """What it is filled with; the type that was asked for, if a factory makes it."""
    fill: Call | None = None
    factory: Factory | None = None
    filled: bool = True
    """False when nothing but its default fills it."""

    @property
    def constant(self) -> bool:
        """Whether it is the same for all calls."""
        return self.fill is None and self.factory is None


def handler_with(
    title: str, function: Any, whole: bool, positional: Sequence[Source], keyword: Sequence[Source]
) -> Handler:
    """A handler that gets these besides the message, or the whole envelope."""
    if keyword or not all(source.constant for source in positional):
        return Handler(title, function, _with_all(title, function, whole, positional, keyword))
    constants = tuple(source.value for source in positional)
    if whole:
        return Handler(title, function, lambda envelope: function(envelope, *constants))
    if constants:
        return Handler(title, lambda message: function(message, *constants), None)
    return Handler(title, function, None)


def _with_all(title: str, handler: Any, whole: bool, positional: Sequence[Source], keyword: Sequence[Source]) -> Call:
    factories = {source.value: source.factory for source in (*positional, *keyword) if source.factory is not None}

    def call(envelope: Envelope[Any], entered: Mapping[Any, Any]) -> Any:
        def given(source: Source) -> Any:
            if source.factory is not None:
                return entered[source.value]
            return source.value if source.fill is None else source.fill(envelope)

        first = envelope if whole else envelope.message
        return handler(first, *map(given, positional), **{source.name: given(source) for source in keyword})

    async def call_inside(envelope: Envelope[Any]) -> Any:
        swallowed: BaseException
        async with AsyncExitStack() as stack:
            try:
                entered = {key: await _enter(stack, title, key, make) for key, make in factories.items()}
                result = call(envelope, entered)
                return await result if inspect.isawaitable(result) else result
            except BaseException as error:
                swallowed = error
                raise
        raise swallowed  # by a resource that was left with it: there is no result to go on with

    return call_inside if factories else lambda envelope: call(envelope, {})


async def _enter(stack: AsyncExitStack, title: str, key: Any, make: Factory) -> Any:
    manager: Any = make()
    if not hasattr(type(manager), "__aenter__"):
        name = getattr(key, "__name__", key)
        raise InvalidHandler(title, f"its resource {name} is made by {describe(make)}: no async context manager")
    return await stack.enter_async_context(manager)


def is_factory(kind: Any, value: Any) -> bool:
    """Whether a resource is made by what was given: a callable that is not itself what is asked for."""
    kind = getattr(kind, "__supertype__", kind)
    origin = get_origin(kind) or kind
    if origin is Callable or "__call__" in getattr(origin, "__dict__", {}):  # what is asked for is a callable
        return False
    try:
        return callable(value) and not isinstance(value, origin)
    except TypeError:  # a protocol that cannot be asked: nothing is known to be an instance of it
        return callable(value)
