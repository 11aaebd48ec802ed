"""The typed bus: what command, query and event buses have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import isawaitable
from time import time
from types import CoroutineType
from typing import Any, TypeVar, overload

from modd.checks import checked_callable
from modd.core import Caused, Intent, IntentOf, Message, Question, check_message, current_origin, open_origin
from modd.cqrs.chain import Route, composed, route_of
from modd.cqrs.enclosing import root_bus
from modd.cqrs.envelope import Envelope, checked_stamps
from modd.cqrs.handlers import Resources
from modd.cqrs.ids import Ids
from modd.cqrs.intents import Event
from modd.cqrs.opening import Opening
from modd.cqrs.result import Dispatched, concluded
from modd.cqrs.stamps import Failed, For, Stamp
from modd.errors import InvalidOption, NoHandler, NotAnswered

R = TypeVar("R")


_blank = Envelope.__new__


_current = current_origin.get


_set_current = current_origin.set


class TypedBus(Opening):
    """Gives intents to their handlers, through middleware; a component of a `Bus`, and never exclusive.

    handlers: callables (what they handle is the annotation of the first parameter), or a mapping from type to handler.
    middleware: what every dispatch goes through, the first one outermost.
    resources: what handlers get by annotation: a value, or what makes an async context manager for each call.
    name: what errors, logs and journeys call it. new_id: makes the ids; by default UUIDs of version 7, made when read.
    clock: seconds since 1970. several: allow more than one handler for a type. concurrent: several run side by side.
    close_timeout: seconds that closing waits for work in the background before it is cancelled.
    """

    strict: bool = True
    """Whether a type without a handler is an error."""

    def __init__(
        self,
        handlers: Iterable[Any] | Mapping[Any, Any] = (),
        *,
        middleware: Iterable[Any] = (),
        resources: Resources | None = None,
        name: str | None = None,
        new_id: Callable[[], str] | None = None,
        clock: Callable[[], float] = time,
        several: bool = False,
        concurrent: bool = True,
        close_timeout: float = 30.0,
    ) -> None:
        super().__init__(
            handlers,
            middleware=middleware,
            resources=resources,
            name=name,
            several=several,
            close_timeout=close_timeout,
        )
        self.clock, self.concurrent = checked_callable("clock", clock), concurrent
        self.ids = Ids()
        """Where the ids of its envelopes come from, unless ``new_id`` is given."""
        self._new_id: Callable[[], str] | None = None if new_id is None else _checked_ids(new_id)

    async def __call__(self, message: Any, /) -> Caused | None:
        """Handle a message of a surrounding bus; what is released flows on there."""
        origin = open_origin()
        question = (
            origin if isinstance(origin, Question) and origin.answerer is self and origin.intent is message else None
        )
        try:
            dispatched = await self.dispatch(message, *(question.stamps if question is not None else ()))
        except Exception as error:
            if question is not None:
                question.error = error
            raise
        if question is not None:
            question.note(dispatched)
        return dispatched.caused if dispatched.events else None

    @overload
    async def dispatch(self, intent: IntentOf[R], /, *stamps: Stamp) -> Dispatched[R]: ...
    @overload
    async def dispatch(self, intent: Envelope[Intent[R]], /, *stamps: Stamp) -> Dispatched[R]: ...
    @overload
    async def dispatch(self, intent: Message | Envelope[Any], /, *stamps: Stamp) -> Dispatched[Any]: ...
    async def dispatch(self, intent: Any, /, *stamps: Stamp) -> Dispatched[Any]:
        """Handle an intent, or an envelope with one, and wait until that is done.

        An envelope that was dispatched before, or was decoded, is dispatched anew under its id (MI-10). Raises
        `NoHandler`, `NotOpen`, what the handler or a middleware raises, and `HandlersFailed` when several handlers do.
        """
        envelope: Envelope[Any] | None = None
        try:
            route = self._routes[type(intent)]
        except KeyError:
            envelope, route = self._prepared(intent)
        if envelope is None:  # made in place: the call of __init__ costs a tenth of a dispatch
            envelope = _blank(Envelope)
            envelope.message = intent
            envelope._noted = []
            envelope._done = None
            envelope._id = None if self._new_id is None else self._new_id()
            envelope._at = None
            envelope._correlation = envelope._causation = None
            envelope._ran = False
        outer = _current()
        while outer is not None and not outer.open:
            outer = outer.outer
        if stamps:
            envelope._noted.extend(checked_stamps(stamps))
        envelope.bus = self
        if outer is not None and outer.by is not None and envelope._correlation is None:
            envelope.caused_by(outer.by)
        failed_before = len(envelope.all(Failed)) if envelope._noted else 0
        envelope.outer = outer
        envelope.open = True
        _set_current(envelope)
        try:
            if route.alone is None or envelope._noted:
                await route.chain(envelope)
            else:  # as `chain` does at its end: the call costs a tenth of a dispatch
                result = route.alone(envelope.message)
                if type(result) is CoroutineType or isawaitable(result):
                    result = await result
                envelope._ran = True
                envelope._done = result, route.name, self.clock()
        except BaseException:
            _set_current(envelope)  # so that the core finds what has failed
            raise
        finally:
            envelope.open = False
        done, noted = envelope._done, envelope._noted
        if done is not None and (not envelope._ran or (route.quick and not noted)):
            return Dispatched(envelope, done[0])  # nothing is released: no handler has run, or nothing else is noted
        return concluded(envelope, failed_before)

    async def ask(self, intent: IntentOf[R], /, *stamps: Stamp) -> R:
        """The result of an intent. Raises as `dispatch` does, and `NotAnswered` when there is none."""
        dispatched = await self.dispatch(intent, *stamps)
        if not dispatched.answered:
            raise NotAnswered(type(intent), self.name)
        return dispatched.result

    async def _ask_around(self, intent: IntentOf[R], /, *stamps: Stamp) -> R:
        return await root_bus(self).ask(intent, *stamps)  # type: ignore[no-any-return]

    def _prepared(self, intent: Any) -> tuple[Envelope[Any] | None, Route]:
        """The way for what has not gone it yet; an envelope that was dispatched before is given anew."""
        message = intent.message if isinstance(intent, Envelope) else intent
        check_message(message)
        kind = type(message)
        only = [each for each in intent._noted if type(each) is For] if isinstance(intent, Envelope) else ()
        if only:
            route = self._routes.get((kind, only[0].handler)) or self._route_for(kind, only[0].handler)
        else:
            route = self._routes.get(kind) or self._route_for(kind)
        if not isinstance(intent, Envelope):
            return None, route
        if intent.sent:
            return intent.again(*only, at=self.clock()), route
        if intent._id is None and self._new_id is not None:
            intent._id = self._new_id()
        return intent, route

    def _route_for(self, kind: type[Message], only: str | None = None) -> Route:
        handlers = self._handlers_of(kind)
        if not issubclass(kind, self.kind) or (not handlers and self.strict):
            raise NoHandler(kind, self.name, self.types)
        if only is not None:
            handlers = self._handlers_named(only, kind)
        if not self._sealed:
            self.check()
        self._refuse_when_closed()
        chain = composed(self._middleware, handlers, self.clock, self.concurrent)
        route = route_of(chain, self._middleware, handlers, quick=self.kind is not Event)
        self._routes[kind if only is None else (kind, only)] = route
        return route


def _checked_ids(new_id: Any) -> Callable[[], str]:
    checked_callable("new_id", new_id)

    def make() -> str:
        given = new_id()
        if not (isinstance(given, str) and given):
            raise InvalidOption("new_id", given, "give a function that returns a text that is not empty")
        return given

    return make
