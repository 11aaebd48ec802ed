"""The three typed buses (MI-1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import time
from typing import Any, ClassVar, Concatenate, Protocol, TypeVar, overload

from modd.core import Message
from modd.cqrs.envelope import Envelope
from modd.cqrs.handlers import Resources
from modd.cqrs.intents import Command, Event, Query
from modd.cqrs.typed_bus import TypedBus

M = TypeVar("M", bound=Message)


R = TypeVar("R")


H = TypeVar("H", bound=Callable[..., Any])


M_co = TypeVar("M_co", bound=Message, covariant=True)


class IntentType(Protocol[M_co, R]):
    """A class of intents, with its result, as type checkers see it."""

    def _meta(self) -> tuple[type[M_co], Callable[[R], R]]: ...


class Register(Protocol[M_co, R]):
    """A decorator for handlers of ``M`` with the result ``R``; gives the handler back as it is."""

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


class _ResultBus(TypedBus):
    @overload
    def register(
        self,
        type_: IntentType[M, R],
        handler: Callable[Concatenate[M, ...], Awaitable[R]],
        name: str | None = None,
    ) -> None: ...
    @overload
    def register(
        self,
        type_: IntentType[M, R],
        handler: Callable[Concatenate[Envelope[M], ...], Awaitable[R]],
        name: str | None = None,
    ) -> None: ...
    @overload
    def register(
        self, type_: IntentType[M, R], handler: Callable[Concatenate[M, ...], R], name: str | None = None
    ) -> None: ...
    @overload
    def register(
        self, type_: IntentType[M, R], handler: Callable[Concatenate[Envelope[M], ...], R], name: str | None = None
    ) -> None: ...
    def register(self, type_: Any, handler: Any, name: str | None = None) -> None:
        """Have a type handled by a callable, which takes the message or its envelope first.

        Raises `InvalidHandler` for one that cannot be called so, or when there is one already, `WrongBus`, `Sealed`.
        """
        self._add(type_, handler, name)

    def handles(self, type_: IntentType[M, R], name: str | None = None) -> Register[M, R]:
        """The same as a decorator: ``@commands.handles(CreateUser)``."""

        def register(handler: Any) -> Any:
            self._add(type_, handler, name)
            return handler

        return register


class CommandBus(_ResultBus):
    """Gives each command to its handler, and releases the events that it emits (MI-1, MI-15).

    ``commands = CommandBus([create_user])`` and ``(await commands.dispatch(CreateUser("Ada"))).result``.
    """

    kind: ClassVar[type[Message]] = Command
    default_name: ClassVar[str] = "commands"


class QueryBus(_ResultBus):
    """Gives each query to its handler: ``user = await queries.ask(GetUser(1))`` (MI-1)."""

    kind: ClassVar[type[Message]] = Query
    default_name: ClassVar[str] = "queries"


class EventBus(TypedBus):
    """Gives each event to all its handlers, side by side by default (MI-1, MI-6).

    strict: an event without a handler is an error. Handlers of a base class get the events derived from it, too. What a
    handler gives back as messages is released.
    """

    kind: ClassVar[type[Message]] = Event
    default_name: ClassVar[str] = "events"

    def __init__(
        self,
        handlers: Iterable[Any] | Mapping[Any, Any] = (),
        *,
        middleware: Iterable[Any] = (),
        resources: Resources | None = None,
        name: str | None = None,
        new_id: Callable[[], str] | None = None,
        clock: Callable[[], float] = time,
        concurrent: bool = True,
        strict: bool = False,
        close_timeout: float = 30.0,
    ) -> None:
        super().__init__(
            handlers,
            middleware=middleware,
            resources=resources,
            name=name,
            new_id=new_id,
            clock=clock,
            several=True,
            concurrent=concurrent,
            close_timeout=close_timeout,
        )
        self.strict = strict

    def register(
        self,
        type_: type[M],
        handler: Callable[Concatenate[M, ...], Any] | Callable[Concatenate[Envelope[M], ...], Any],
        name: str | None = None,
    ) -> None:
        """Have a type of event handled by one more callable, which takes the event or its envelope first."""
        self._add(type_, handler, name)

    def handles(self, type_: type[M], name: str | None = None) -> Callable[[H], H]:
        """The same as a decorator: ``@events.handles(UserCreated)``."""

        def register(handler: H) -> H:
            self._add(type_, handler, name)
            return handler

        return register
