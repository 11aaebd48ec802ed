"""The chain of a message type: the middleware of a bus around its handlers, composed once for each type."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from contextvars import Context, copy_context
from functools import partial, reduce
from types import CoroutineType
from typing import Any, Protocol, TypeAlias

import anyio

from modd.concurrency.cancellation import CancelledError, failure_of, raise_if_cancelled
from modd.core import mask_secrets, note
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import DispatchEnded, HandlersFailed, InvalidMiddleware, WrongEnvelope
from modd.cqrs.handlers import BoundHandler
from modd.cqrs.middleware_order import check_order, role_of
from modd.cqrs.stamps import Handled
from modd.errors import StrayCancellation

Next: TypeAlias = Callable[[Envelope[Any]], Awaitable[None]]
"""The rest of the chain, for a middleware: ``await call_next(envelope)``."""


_UNSET = object()


class Middleware(Protocol):
    """A link of the chain: ``async def middleware(envelope, call_next): ... await call_next(envelope)``."""

    async def __call__(self, envelope: Envelope[Any], call_next: Next, /) -> None:
        """Do something before, after or in place of the rest of the chain."""


def compose(
    middleware: Sequence[Any],
    handlers: Sequence[BoundHandler],
    bus: Any,
    clock: Callable[[], float],
    *,
    concurrent: bool,
) -> Next:
    """Return the chain: the first middleware outermost, the handlers as its last link.

    bus: the bus of the envelopes. clock: seconds since 1970, for `Handled`. concurrent: True to run multiple handlers
    side by side.
    """
    link = _handle_by_one(handlers[0], clock) if len(handlers) == 1 else _handle_by_all(handlers, clock, concurrent)
    calls = [each if inspect.isroutine(each) or isinstance(each, partial) else each.__call__ for each in middleware]
    if not calls:
        return link
    first, rest = calls[0], _wrap(lambda envelope, handle: handle(envelope), link, bus)
    for each in reversed(calls[1:]):
        rest = _wrap(each, rest, bus)
    return lambda envelope: first(envelope, rest)  # the bus calls it: its envelope needs no check


def _late_or_wrong(envelope: Envelope[Any], bus: Any) -> Exception:
    """Return the error for an envelope that is not in a running dispatch of the bus."""
    ended = envelope.bus is bus
    return DispatchEnded("call_next", type(envelope.message), bus.name) if ended else WrongEnvelope(envelope, bus.name)


def check_middleware(middleware: Any) -> None:
    """Raise `InvalidMiddleware` unless it is an async callable of an envelope and the rest of the chain."""
    usable = not isinstance(middleware, type) and (
        inspect.iscoroutinefunction(middleware) or inspect.iscoroutinefunction(getattr(middleware, "__call__", None))  # noqa: B004
    )
    try:
        inspect.signature(middleware).bind(None, None)
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise InvalidMiddleware(middleware)


class MiddlewareStack:
    """The middleware of a typed bus, the first one outermost."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.may_queue = False
        """True if one of them may queue intents for later (its ``may_queue``)."""

    @property
    def background_work(self) -> list[str]:
        """Names of the work for which the bus must be open."""
        return [each.background_work for each in self.items if getattr(each, "background_work", "")]

    @property
    def is_known(self) -> bool:
        """True if all of them are modd's, which emit no events themselves."""
        return all(type(each).__module__.partition(".")[0] == "modd" for each in self.items)

    @property
    def may_store_events(self) -> bool:
        """True if one of them may put events into a queue or an outbox, in place of the turn."""
        return self.may_queue or not self.is_known or any(role_of(each) == "transaction" for each in self.items)

    @property
    def links(self) -> list[Any]:
        """The middleware as they are called: one with a method ``arrange`` may wrap others, and add links."""
        return reduce(lambda links, each: getattr(each, "arrange", list)(links), self.items, self.items)

    def add(self, middleware: Any, bus: Any) -> None:
        """Add a middleware inside of the present ones, and tell it its bus. Raises `InvalidMiddleware`."""
        check_middleware(middleware)
        if hasattr(middleware, "bind"):
            middleware.bind(bus)
        self.items.append(middleware)
        self.may_queue = self.may_queue or bool(getattr(middleware, "may_queue", False))

    def check(self, bus: Any) -> None:
        """Check the order, and have each middleware check its options against the bus. Raises `UnsafeOrder`."""
        check_order(self.items, bus.name)
        for each in self.items:
            if hasattr(each, "check"):
                each.check(bus)

    async def enter(self, stack: AsyncExitStack) -> None:
        """Enter the middleware that are async context managers."""
        for each in self.items:
            if hasattr(type(each), "__aenter__"):
                await stack.enter_async_context(each)


def _wrap(middleware: Any, rest: Next, bus: Any) -> Next:
    """Return a link for a middleware to call: it refuses a late call and the envelope of another dispatch."""

    def call(envelope: Envelope[Any]) -> Awaitable[None]:  # not async: a coroutine more costs a third of a link
        try:
            if envelope.bus is not bus or not envelope.open:
                raise _late_or_wrong(envelope, bus)
        except AttributeError:
            raise WrongEnvelope(envelope, bus.name) from None
        return middleware(envelope, rest)  # type: ignore[no-any-return]

    return call


def _handle_by_one(handler: BoundHandler, clock: Callable[[], float]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return the last link of a chain: the only place where handlers are called.

    Its second parameter takes the result in place of the envelope, for one of multiple handlers.
    """
    name, function, call, settle = handler.name, handler.function, handler.call, handler.returned.settle
    plain = handler.returned.plain

    async def handle(envelope: Envelope[Any], outcome: _Outcome | None = None) -> None:
        if envelope.ran:
            envelope.flush()
        elif envelope.noted and outcome is None and _was_handled(envelope):
            return
        start = len(envelope.noted)
        try:
            result = function(envelope.message) if call is None else call(envelope)
            if type(result) is CoroutineType:
                result = await result
            if type(result) not in plain:
                result = await settle(result)
        except BaseException as error:
            envelope.drop_events(start)
            if not isinstance(error, CancelledError):
                raise
            cancelled = error
        else:
            if outcome is not None:
                outcome.handled = Handled(result, name, at=clock())
            else:
                envelope.ran = True
                if envelope.handled is not None:  # as `note_result` does: its call costs a twentieth of a dispatch
                    envelope.flush()
                envelope.handled = result, name, clock()
            return
        try:
            raise failure_of(cancelled)
        finally:
            del cancelled  # its traceback refers to this frame

    return handle


def _was_handled(envelope: Envelope[Any]) -> bool:
    """Return True if something stands in for the handlers: a `Handled` stamp from before."""
    return (envelope.handled is not None or not envelope.is_plain) and envelope.has(Handled)


def _handle_by_all(handlers: Sequence[BoundHandler], clock: Callable[[], float], concurrent: bool) -> Next:
    links = [(handler.name, _handle_by_one(handler, clock)) for handler in handlers]

    async def handle(envelope: Envelope[Any]) -> None:
        if not envelope.ran and envelope.has(Handled):
            return
        start = len(envelope.flush())
        outcomes, before = [_Outcome(name, link) for name, link in links], copy_context()
        await _call_all([partial(outcome.wait_for, envelope) for outcome in outcomes], concurrent)
        for outcome in outcomes if concurrent else ():
            _adopt_variables(outcome.context, before)
        handled = [outcome.handled for outcome in outcomes if outcome.handled is not None]
        envelope.ran = envelope.ran or bool(handled) or not handlers
        envelope.noted.extend(handled)
        if len(handled) < len(outcomes):
            envelope.drop_events(start)
            _raise_errors(envelope.message, outcomes)

    return handle


class _Outcome:
    """The stamp or the error of one of multiple handlers."""

    def __init__(self, name: str, link: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self.name, self.link = name, link
        self.handled: Handled | None = None
        self.error: Exception | None = None
        self.context = copy_context()
        """The context variables after the handler has run."""

    async def wait_for(self, envelope: Envelope[Any]) -> None:
        """Run the handler; store its error until the other handlers have run."""
        try:
            await self.link(envelope, self)
        except Exception as error:
            self.error = error
        self.context = copy_context()
        if self.error is not None:
            await raise_if_cancelled(self.error)
            note(self.error, self.name, envelope.message, envelope.bus.name)


def _adopt_variables(after: Context, before: Context) -> None:
    """Set the context variables that a handler has set in a task of its own: a single handler runs in this task."""
    for variable, value in after.items():
        if before.get(variable, _UNSET) is not value:
            variable.set(value)


async def _call_all(calls: Sequence[Callable[[], Coroutine[Any, Any, None]]], concurrent: bool) -> None:
    if not concurrent or len(calls) < 2:
        for call in calls:
            await call()
        return
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)


def _raise_errors(message: Any, outcomes: Sequence[_Outcome]) -> None:
    """Raise the only error, or a group of them; a handler that cancelled the task that it ran in has failed, too."""
    unhandled = [outcome for outcome in outcomes if outcome.handled is None]
    errors = [outcome.error or StrayCancellation(CancelledError()) for outcome in unhandled]
    if len(errors) == 1:
        raise errors[0]
    failed = HandlersFailed(f"{len(errors)} handlers of {type(message).__qualname__} failed", errors)
    failed.mask = partial(mask_secrets, message=message)
    raise failed
