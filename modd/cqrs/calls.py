"""Calling handlers with all that they take: the same values each time, or what is entered for each call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, get_origin

import msgspec

from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidHandler
from modd.errors import describe

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
