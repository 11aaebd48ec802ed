"""Handlers at the end of a chain of middleware, composed once for each type of message (MI-12)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from types import CoroutineType
from typing import Any, Protocol, TypeAlias

import anyio
import msgspec

from modd.concurrency.cancellation import raise_if_cancelled
from modd.core import name_of, note
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import HandlersFailed, InvalidMiddleware, UnsafeOrder
from modd.cqrs.handlers import Handler
from modd.cqrs.stamps import Handled

Next: TypeAlias = Callable[[Envelope[Any]], Awaitable[None]]
"""Goes on with all that is further in: ``await call_next(envelope)``."""


class Middleware(Protocol):
    """What dispatches go through: ``async def middleware(envelope, call_next): ... await call_next(envelope)``."""

    async def __call__(self, envelope: Envelope[Any], call_next: Next, /) -> None:
        """Do something before, after or in place of what is further in."""


class Route(msgspec.Struct, frozen=True):
    """How the messages of one type are handled."""

    chain: Next
    alone: Callable[[Any], Any] | None
    """The handler, where it is the only one, takes the message alone, and no middleware is around it."""
    name: str
    quick: bool
    """Whether a result is all that there is to see to when it is the only stamp."""


def route_of(chain: Next, middleware: Sequence[Any], handlers: Sequence[Handler], *, quick: bool) -> Route:
    """The route along a composed chain."""
    if len(handlers) == 1 and not middleware and handlers[0].call is None:
        return Route(chain, handlers[0].function, handlers[0].name, quick)
    return Route(chain, None, "", quick)


def composed(middleware: Sequence[Any], handlers: Sequence[Handler], clock: Callable[[], float], beside: bool) -> Next:
    """All middleware, the first one outermost, around the handlers."""
    chain = _one(handlers[0], clock) if len(handlers) == 1 else _several(handlers, clock, beside)
    for each in reversed(middleware):
        chain = _link(each if inspect.isroutine(each) or isinstance(each, partial) else each.__call__, chain)
    return chain


def check_middleware(given: Any) -> None:
    """Raise `InvalidMiddleware` unless it can be awaited with an envelope and what comes next."""
    usable = not isinstance(given, type) and (
        inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(getattr(given, "__call__", None))  # noqa: B004
    )
    try:
        inspect.signature(given).bind(None, None)
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise InvalidMiddleware(given)


def _link(middleware: Any, further: Next) -> Next:
    def call(envelope: Envelope[Any]) -> Awaitable[None]:  # no coroutine of its own: it costs a third of a link
        return middleware(envelope, further)  # type: ignore[no-any-return]

    return call


def _one(handler: Handler, clock: Callable[[], float]) -> Next:
    name, function, call = handler.name, handler.function, handler.call

    async def handle(envelope: Envelope[Any]) -> None:
        if envelope._noted and not envelope._ran and envelope.has(Handled):
            return
        before = len(envelope._noted)
        try:
            result = function(envelope.message) if call is None else call(envelope)
            if type(result) is CoroutineType or inspect.isawaitable(result):
                result = await result
        except BaseException:
            envelope.forget_events(before)
            raise
        if envelope._done is not None:  # it runs once more
            envelope._stamps  # noqa: B018
        envelope._ran = True
        envelope._done = result, name, clock()

    return handle


def _several(handlers: Sequence[Handler], clock: Callable[[], float], beside: bool) -> Next:
    async def handle(envelope: Envelope[Any]) -> None:
        if not envelope._ran and envelope.has(Handled):
            return
        before = len(envelope._stamps)
        outcomes = [Outcome(handler, clock) for handler in handlers]
        await _run_all([partial(outcome.run, envelope) for outcome in outcomes], beside)
        handled = [outcome.handled for outcome in outcomes if outcome.handled is not None]
        envelope._ran = envelope._ran or bool(handled) or not handlers
        envelope._stamps.extend(handled)
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        if len(handled) < len(outcomes):
            envelope.forget_events(before)
        if len(handled) + len(errors) < len(outcomes):  # a handler let a cancellation of its own doing pass
            raise anyio.get_cancelled_exc_class()
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise HandlersFailed(f"{len(errors)} handlers of {type(envelope.message).__qualname__} failed", errors)

    return handle


class Outcome:
    """What became of one of several handlers."""

    def __init__(self, handler: Handler, clock: Callable[[], float]) -> None:
        self.handler, self.clock = handler, clock
        self.handled: Handled | None = None
        self.error: Exception | None = None

    async def run(self, envelope: Envelope[Any]) -> None:
        """Run the handler to its end, whatever becomes of it."""
        handler = self.handler
        try:
            result = handler.function(envelope.message) if handler.call is None else handler.call(envelope)
            if inspect.isawaitable(result):
                result = await result
            self.handled = Handled(result, handler.name, at=self.clock())
        except Exception as error:
            self.error = error
        if self.error is not None:
            await raise_if_cancelled(self.error)
            note(self.error, handler.name, envelope.message, envelope.bus.name)


async def _run_all(calls: Sequence[Callable[[], Coroutine[Any, Any, None]]], beside: bool) -> None:
    if not beside or len(calls) < 2:
        for call in calls:
            await call()
        return
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)


class Rule(msgspec.Struct, frozen=True):
    """A middleware that plays the one role must not be outside one that plays the other."""

    outer: str
    inner: str
    reason: str


RULES = (
    Rule("cacher", "authorizer", "a result from the cache would go to those who may not see it"),
    Rule("idempotency", "authorizer", "a result kept would go to those who may not see it"),
    Rule("enqueue", "authorizer", "what nobody may do would be queued, and done"),
    Rule("enqueue", "validator", "what is not valid would be queued, and fail where nobody waits for it"),
    Rule("transaction", "idempotency", "the result would be kept though the transaction may still fail"),
    Rule("transaction", "retryer", "every attempt would run in the one transaction, which the first error has ended"),
)
"""Roles are named by the class variable ``role`` of a middleware."""


def role_of(middleware: Any) -> str:
    """What a middleware is for, as far as the order matters: its ``role``."""
    return str(getattr(middleware, "role", ""))


def check_order(middleware: Sequence[Any], bus: str) -> None:
    """Raise `UnsafeOrder` for the first rule that is broken."""
    for at, outer in enumerate(middleware):
        for inner in middleware[at + 1 :]:
            for rule in RULES:
                if (role_of(outer), role_of(inner)) == (rule.outer, rule.inner):
                    raise UnsafeOrder(name_of(outer), name_of(inner), bus, rule.reason)
