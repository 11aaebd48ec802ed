"""The typed bus: `dispatch` is the way of every intent to its handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from time import time
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, overload

from modd.checks import checked_callable, checked_delay, checked_flag, checked_list, checked_name
from modd.concurrency.cancellation import CancelledError, failure_of
from modd.concurrency.lifespan import Lifespan
from modd.concurrency.scopes import open_scope
from modd.core import (
    Accepts,
    Answerer,
    Carrier,
    Caused,
    Intent,
    IntentOf,
    Message,
    Question,
    check_message,
    current_origin,
    may_return,
    message_of,
    open_origin,
    placed_name,
    returned_by,
)
from modd.cqrs.arguments import Resources, checked_resources
from modd.cqrs.background import Background
from modd.cqrs.chain import Middleware, MiddlewareStack, Next, compose
from modd.cqrs.codec import Codec, codec_of
from modd.cqrs.enclosing import is_open_around, root_to_ask
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import NotOpen
from modd.cqrs.handlers import bind_handler
from modd.cqrs.ids import Ids, checked_ids
from modd.cqrs.intents import Event, Query, create_intent
from modd.cqrs.registry import Registry
from modd.cqrs.result import Dispatched, conclude
from modd.cqrs.stamps import OnlyHandler, Stamp, checked_stamps, refuse_delay
from modd.errors import NoHandler, NotAnswered

M = TypeVar("M", bound=Message)


R = TypeVar("R")


_blank_envelope = Envelope.__new__


_current = current_origin.get


_set_current = current_origin.set


class TypedBus(Answerer):
    """A bus that gives intents to their handlers, through middleware: the base of command, query and event buses.

    Use it alone, or as a component of a `Bus`; its dispatches may overlap.

    handlers: callables with their types in the annotation of the first parameter, or a mapping from type to callable;
        by default none.
    middleware: the links of the chain that every dispatch passes, the first one outermost; by default none.
    resources: arguments for handlers by annotation: a value, or a factory of an async context manager for each call; by
        default none.
    name: the name in errors, logs, journeys and keys of middleware; no two typed buses in one outermost bus may have
        the same. By default the kind of bus with the contexts around it in front, such as "billing.commands": the names
        of the buses around it, but for the outermost one and buses without a name. Of several places the first counts.
    new_id: a function that makes the id of a dispatch; by default UUIDs of version 7, made when they are read.
    clock: a function that returns seconds since 1970; by default `time.time`.
    multiple: True to allow more than one handler for a type; by default False.
    concurrent: True (default) to run multiple handlers side by side, False to run one after another.
    drain: seconds that closing waits for work in the background before it is cancelled; by default 30.

    Raises:
        InvalidOption: an option has a value that cannot work.
        InvalidHandler: a callable cannot handle its type, or is a second one without ``multiple=True``.
        InvalidMiddleware: an object in ``middleware`` cannot be a middleware.
        WrongBus: a type or a middleware does not go with this kind of bus.
        DuplicateName: two types have the same name on the wire.
    """

    kind: ClassVar[type[Message]]
    """The base of the types that it takes: commands, queries or events."""
    default_name: ClassVar[str]
    tells_askers_apart: ClassVar[bool] = False
    """True if its handlers must know when a sender waits for the result; see `Envelope.is_asked`."""
    strict: bool = True
    """True if a type without a handler is an error."""

    def __init__(
        self,
        handlers: Iterable[Any] | Mapping[Any, Any] = (),
        *,
        middleware: Iterable[Middleware] = (),
        resources: Resources | None = None,
        name: str | None = None,
        new_id: Callable[[], str] | None = None,
        clock: Callable[[], float] = time,
        multiple: bool = False,
        concurrent: bool = True,
        drain: float = 30.0,
    ) -> None:
        super().__init__()
        self.name = checked_name(self.default_name if name is None else name)
        self.is_named = name is not None
        """True if it was given a name, which does not change with its place."""
        self.clock, self.concurrent = checked_callable("clock", clock), checked_flag("concurrent", concurrent)
        self.ids = Ids()
        """The source of the ids of its envelopes, unless ``new_id`` is given."""
        self._new_id = None if new_id is None else checked_ids(new_id)
        self.emits_to_outbox = False
        """True if a worker puts its events into an outbox."""
        self._releases_results = releases = issubclass(self.kind, Event)
        known = checked_resources(resources)
        bind = partial(bind_handler, resources=known, ask=self._ask_around, releases=releases)
        self._registry = Registry(self.name, self.kind, bind, multiple=checked_flag("multiple", multiple))
        self._routes = self._registry.routes
        self._middleware = MiddlewareStack()
        self.lifespan = Lifespan(self.name)
        self._background = Background(self.name, checked_delay("drain", drain))
        self.use(*checked_list("middleware", middleware))
        self._registry.add_all(checked_list("handlers", handlers))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(kind.__qualname__ for kind in self.types)}>"

    def renew(self) -> None:
        """Take the name of its place, and have everything around work out anew what depends on it."""
        if not self.is_named:
            self.name = placed_name(self, self.default_name)
            self._registry.bus = self.lifespan.name = self._background.owner = self.name
        super().renew()

    @property
    def types(self) -> tuple[type[Message], ...]:
        """The types with a handler."""
        return self._registry.types

    @property
    def middleware(self) -> tuple[Middleware, ...]:
        """The middleware, the first one outermost."""
        return tuple(self._middleware.items)

    @property
    def accepts(self) -> Accepts:
        """The messages that a surrounding bus sends to it: those of the types with a handler."""
        return Accepts(self.types, catches=False)

    @property
    def may_queue(self) -> bool:
        """True if a middleware may queue intents for later."""
        return self._middleware.may_queue

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The callables that were registered as handlers."""
        return tuple(handler.source for handler in self._registry.handlers if handler.source is not None)

    @property
    def emitted(self) -> tuple[type[Message], ...]:
        """The types that its handlers are known to emit or return in a turn; none if they may be stored for later."""
        if self.emits_to_outbox or self._middleware.may_store_events or issubclass(self.kind, Query):
            return ()
        emitted = [kind for handler in self._registry.handlers for kind in handler.emitted]
        returned = self.functions if self._releases_results else ()
        return tuple(dict.fromkeys([*emitted, *(kind for each in returned for kind in returned_by(each))]))

    def may_emit(self, kind: type[Message]) -> bool:
        """Return False if its handlers and its middleware are known to return and to emit no message of a type."""
        emits = not self._middleware.is_known or any(each.may_emit(kind) for each in self._registry.handlers)
        if emits and not issubclass(kind, Intent):
            return True
        return self._releases_results and any(may_return(function, kind) for function in self.functions)

    @property
    def codec(self) -> Codec:
        """A codec of its types, and of the stamps that its middleware add."""
        return codec_of([self])

    @property
    def is_open(self) -> bool:
        """True if it is open, by itself or with a bus around."""
        return self.lifespan.is_open

    def use(self, *middleware: Middleware) -> None:
        """Add middleware inside of the present ones. Raises `InvalidMiddleware`, `WrongBus`, `Sealed`."""
        self._registry.refuse_when_sealed("add middleware")
        for each in middleware:
            self._middleware.add(each, self)

    def check(self) -> None:
        """Check the order of the middleware, and their options against the types; refuse changes from now on.

        Called on opening and by the first dispatch. Raises `UnsafeOrder`, and the errors that a middleware raises.
        """
        self._middleware.check(self)
        self._registry.sealed = True

    @overload
    def create(self, kind: type[M], data: Any) -> M: ...
    @overload
    def create(self, kind: str, data: Any) -> Any: ...
    def create(self, kind: Any, data: Any) -> Any:
        """Return an intent from raw data: a mapping, or JSON as text or bytes.

        kind: its type, or the name of its type on the wire. Raises `NoHandler` for a type without a handler in this
        bus, and `InvalidIntent` for data that does not fit.
        """
        return create_intent(self._registry.find_type(kind), data)

    def add_handler(self, kind: Any, handler: Any, name: str | None = None) -> None:
        """Register a handler of a type; `register`, which calls it, has the types that checkers need."""
        self._registry.add(kind, handler, name)
        self.renew()

    def handler_names(self, kind: type[Message]) -> tuple[str, ...]:
        """Return the names of the handlers of a type, in the order in which they run; `OnlyHandler` takes one."""
        return self._registry.names_of(kind)

    def override(self, handlers: Mapping[type[Message], Any]) -> AbstractContextManager[None]:
        """Have fakes handle some types in place of all their handlers while the block lasts. Raises `NoHandler`."""
        return self._registry.override(handlers)

    async def __call__(self, message: Any, /) -> Caused | None:
        """Handle a message of a surrounding bus; the released events flow on there."""
        origin = open_origin()
        question = origin if isinstance(origin, Question) and origin.is_for(self, message) else None
        if question is None:
            dispatched = await self.dispatch(message)
            return dispatched.caused if dispatched.events else None
        try:
            dispatched = question.answer = await self.dispatch(question.sent, *question.stamps)
        except Exception as error:
            question.error = error
            raise
        return dispatched.caused if dispatched.events else None

    @overload
    async def dispatch(self, intent: IntentOf[R], /, *stamps: Stamp) -> Dispatched[R]: ...
    @overload
    async def dispatch(self, intent: Envelope[Intent[R]], /, *stamps: Stamp) -> Dispatched[R]: ...
    @overload
    async def dispatch(self, intent: Message | Envelope[Any], /, *stamps: Stamp) -> Dispatched[Any]: ...
    async def dispatch(self, intent: Any, /, *stamps: Stamp) -> Dispatched[Any]:
        """Handle an intent, or an envelope with one; return when its handlers have run.

        An envelope that was dispatched before, or was decoded, is dispatched anew under its id. Raises `NoHandler`,
        `NotOpen`, `InvalidOption` for a `Delay` without `Enqueue`, the error of a handler or of a middleware, and
        `HandlersFailed` when multiple handlers fail.
        """
        envelope, route = None, self._routes.get(type(intent))
        if route is None:  # the first of its type, or an envelope
            envelope, route = self._admit(intent)
        if envelope is None:
            envelope = _blank_envelope(Envelope)  # without the checks of its constructor
            envelope.start(intent, [], None if self._new_id is None else self._new_id())
        if stamps:
            envelope.noted.extend(checked_stamps(stamps))
            if not self._middleware.may_queue:
                refuse_delay(stamps, self.name)
        outer = _current()
        while outer is not None and not outer.open:  # as `open_origin`
            outer = outer.outer
        envelope.bus = self
        if outer is not None and outer.by is not None:
            envelope.set_cause(outer.by)
        noted_before = tuple(envelope.noted) if envelope.noted else ()
        envelope.outer, envelope.open = outer, True
        _set_current(envelope)
        cancelled = None
        try:
            await route(envelope)
        except BaseException as error:
            _set_current(envelope)  # so that the core finds the envelope that failed
            if not isinstance(error, CancelledError):
                raise
            cancelled = error
        finally:
            envelope.open = False
            if outer is not None and not outer.open:  # as `close_scope` does
                envelope.outer = open_scope(outer)
        if cancelled is not None:
            try:
                raise failure_of(cancelled)
            finally:
                del cancelled  # its traceback refers to this frame
        # else there is nothing to look for, which would cost a twentieth
        if self._releases_results or (envelope.noted and not envelope.is_plain):
            return conclude(envelope, noted_before)
        return Dispatched(envelope, None if envelope.handled is None else envelope.handled[0], envelope.recorded)

    async def ask(self, intent: IntentOf[R] | Carrier[IntentOf[R]], /, *stamps: Stamp) -> R:
        """Return the result of an intent, or of an envelope with one.

        Raises as `dispatch` does, and `NotAnswered` when there is no result; an intent that would be queued for later
        is not queued then.
        """
        untyped: Any = intent
        if self._middleware.may_queue or self.tells_askers_apart:
            dispatched = await self._dispatch_expecting(untyped, stamps)
        else:
            dispatched = await self.dispatch(untyped, *stamps)
        if not dispatched.answered:
            raise NotAnswered(type(dispatched.envelope.message), self.name)
        return dispatched.result  # type: ignore[no-any-return]

    async def _dispatch_expecting(self, intent: Any, stamps: tuple[Stamp, ...]) -> Dispatched[Any]:
        question = Question(message_of(intent), intent, stamps, (self,), True)
        _set_current(question)
        try:
            return await self.dispatch(intent, *stamps)
        finally:
            question.close()

    async def _ask_around(self, intent: IntentOf[R] | Carrier[IntentOf[R]], /, *stamps: Stamp) -> R:
        return await root_to_ask(self, intent).ask(intent, *stamps)  # type: ignore[no-any-return]

    def _admit(self, intent: Any) -> tuple[Envelope[Any] | None, Next]:
        """Return the route of an intent, with the envelope to dispatch if it comes in one: anew for a redispatch."""
        if not isinstance(intent, Envelope):
            check_message(intent)
            return None, self._route_of(type(intent), None)
        is_plain = intent.is_plain
        only = [] if is_plain else [stamp for stamp in intent.noted if type(stamp) is OnlyHandler]
        route = None if only else self._routes.get(type(intent.message))
        if route is None:
            check_message(intent.message)
            route = self._route_of(type(intent.message), only[0].handler if only else None)
        if intent.sent:
            return intent.again(*only, at=self.clock()), route
        if not (is_plain or self._middleware.may_queue):
            refuse_delay(intent.noted, self.name)
        if self._new_id is not None:
            intent.set_id(self._new_id)
        return intent, route

    def _route_of(self, kind: type[Message], only: str | None) -> Next:
        key = kind if only is None else (kind, only)
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = self._compose(kind, only)
        return route

    def _compose(self, kind: type[Message], only: str | None) -> Next:
        handlers = self._registry.handlers_of(kind)
        if not issubclass(kind, self.kind) or (not handlers and self.strict):
            raise NoHandler(kind, self.name, self.types)
        if only is not None:
            handlers = self._registry.handlers_named(only, kind)
        if not self._registry.sealed:
            self.check()
        work = self._middleware.background_work
        if work and not is_open_around(self):  # while one of them closes, a dispatch goes on
            raise NotOpen(self.name, work)
        return compose(self._middleware.links, handlers, self, self.clock, concurrent=self.concurrent)

    def start(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start work in the background, for middleware; it ends with the bus.

        Raises `NotOpen`, also from the moment the bus begins to close: then do the work at once, or leave it; and
        `InOtherLoop` in another event loop than the one in which the bus was opened.
        """
        self._background.start(
            work, *args, closing=is_open_around(self), declared=bool(self._middleware.background_work)
        )

    async def __aenter__(self) -> Self:
        """Open it: enter its middleware, and get ready for work in the background. Raises `AlreadyOpen`."""
        async with self.lifespan.opening() as stack:
            stack.callback(self._routes.clear)
            self.check()
            await self._middleware.enter(stack)
            if self._middleware.background_work:
                await stack.enter_async_context(self._background)
                self.lifespan.bind_to_task()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Wait for the work in the background, then leave the middleware. Raises `OpenedInOtherTask`."""
        return await self.lifespan.close(kind, error, trace)
