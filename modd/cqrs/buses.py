"""The three typed buses: for commands, for queries and for events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar, Concatenate, Protocol, TypedDict, TypeVar, Unpack, overload

from modd.checks import checked_flag
from modd.core import Message
from modd.cqrs.arguments import Resources
from modd.cqrs.chain import Middleware
from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Command, Event, Query
from modd.cqrs.typed_bus import TypedBus

M = TypeVar("M", bound=Message)


R = TypeVar("R")


H = TypeVar("H", bound=Callable[..., Any])


M_co = TypeVar("M_co", bound=Message, covariant=True)


class IntentType(Protocol[M_co, R]):
    """A class of intents, with the type of its result, as type checkers see it."""

    def _meta(self) -> tuple[type[M_co], Callable[[R], R]]: ...


class Register(Protocol[M_co, R]):
    """A decorator for handlers of ``M`` with the result ``R``; it returns the handler as it is."""

    @overload
    def __call__(self, handler: Callable[Concatenate[M_co, ...], Awaitable[R]], /) -> Callable[..., Awaitable[R]]: ...
    @overload
    def __call__(
        self, handler: Callable[Concatenate[Envelope[M_co], ...], Awaitable[R]], /
    ) -> Callable[..., Awaitable[R]]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[M_co, ...], R], /) -> Callable[..., R]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[Envelope[M_co], ...], R], /) -> Callable[..., R]: ...


@overload
def _register(
    self: TypedBus,
    type_: IntentType[M, R],
    handler: Callable[Concatenate[M, ...], Awaitable[R]],
    name: str | None = ...,
) -> None: ...
@overload
def _register(
    self: TypedBus,
    type_: IntentType[M, R],
    handler: Callable[Concatenate[Envelope[M], ...], Awaitable[R]],
    name: str | None = ...,
) -> None: ...
@overload
def _register(
    self: TypedBus, type_: IntentType[M, R], handler: Callable[Concatenate[M, ...], R], name: str | None = ...
) -> None: ...
@overload
def _register(
    self: TypedBus, type_: IntentType[M, R], handler: Callable[Concatenate[Envelope[M], ...], R], name: str | None = ...
) -> None: ...
def _register(self: TypedBus, type_: Any, handler: Any, name: str | None = None) -> None:
    """Have a callable handle a type; it takes the message or its envelope first.

    name: the name of the handler; by default that of the callable. Raises `InvalidHandler` for a callable that cannot
    handle the type, and for a second one without ``multiple=True``; `WrongBus`, `Sealed`, `DuplicateName`.
    """
    self.add_handler(type_, handler, name)


def _handles(self: TypedBus, type_: IntentType[M, R], name: str | None = None) -> Register[M, R]:
    """Return a decorator that registers a handler: ``@commands.handles(CreateUser)``."""

    def register(handler: Any) -> Any:
        self.add_handler(type_, handler, name)
        return handler

    return register


class CommandBus(TypedBus):
    """A bus that gives each command to its handler, and releases the events that the handler emits.

    ``commands = CommandBus([create_user])`` and ``(await commands.dispatch(CreateUser("Ada"))).result``. For the
    parameters see `TypedBus`.
    """

    kind: ClassVar[type[Message]] = Command
    default_name: ClassVar[str] = "commands"
    register, handles = _register, _handles


class QueryBus(TypedBus):
    """A bus that gives each query to its handler: ``user = await queries.ask(GetUser(1))``.

    For the parameters see `TypedBus`.
    """

    kind: ClassVar[type[Message]] = Query
    default_name: ClassVar[str] = "queries"
    register, handles = _register, _handles


class BusOptions(TypedDict, total=False):
    """The options of a typed bus that every kind of bus has; see `TypedBus`."""

    middleware: Iterable[Middleware]
    resources: Resources | None
    name: str | None
    new_id: Callable[[], str] | None
    clock: Callable[[], float]
    concurrent: bool
    drain: float


class EventBus(TypedBus):
    """A bus that gives each event to all its handlers, side by side by default.

    A handler of a base class gets the events of derived types, too. Messages that a handler returns are released.

    handlers: callables with their types in the annotation of the first parameter, or a mapping from type to callable;
        by default none.
    strict: True to raise `NoHandler` for an event without a handler; False by default.
    options: the other parameters of `TypedBus`. Multiple handlers of a type are always allowed.
    """

    kind: ClassVar[type[Message]] = Event
    default_name: ClassVar[str] = "events"

    def __init__(
        self,
        handlers: Iterable[Any] | Mapping[Any, Any] = (),
        *,
        strict: bool = False,
        **options: Unpack[BusOptions],
    ) -> None:
        super().__init__(handlers, multiple=True, **options)
        self.strict = checked_flag("strict", strict)

    def register(
        self,
        type_: type[M],
        handler: Callable[Concatenate[M, ...], Any] | Callable[Concatenate[Envelope[M], ...], Any],
        name: str | None = None,
    ) -> None:
        """Have one more callable handle a type of event; it takes the event or its envelope first."""
        self.add_handler(type_, handler, name)

    def handles(self, type_: type[M], name: str | None = None) -> Callable[[H], H]:
        """Return a decorator that registers a handler: ``@events.handles(UserCreated)``."""

        def register(handler: H) -> H:
            self.add_handler(type_, handler, name)
            return handler

        return register
