"""The bus of an app for one request: it sends with the stamps of the request, such as the actor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Response
from fastapi.requests import HTTPConnection

from modd.checks import checked_callable
from modd.core import Bus, IntentOf, Message
from modd.cqrs import Dispatched, NotAnswered, Queued, Stamp, TypedBus
from modd.errors import ModdError

R = TypeVar("R")

BUS = "modd_bus"
"""The attribute of ``app.state`` for the bus of the app."""

SENT = "modd.sent"
"""The key in the scope of a request for the messages that were sent for it."""


class NotInstalled(ModdError, RuntimeError):
    """A route takes a `RequestBus`, and its app has no bus.

    app: the title of the app.

    Call ``install(app, bus)`` for the app that has the route; a mounted app is an app of its own.
    """

    def __init__(self, app: str) -> None:
        self.app = app
        super().__init__(
            f"the app {app!r} has no bus: call modd.fastapi.install(app, bus) for it before its first request, "
            "also if it is mounted in an app that has one"
        )


@dataclass(frozen=True)
class Accepted:
    """The body of the response to a request that is handled later.

    id: the id of the message, for logs and for a later question about it.
    """

    id: str


class RequestBus:
    """The bus of an app, for one request. Routes get it by ``Depends(bus_with(...))``.

    bus: the bus of the app.
    stamps: the stamps of every message that is sent for the request.
    sent: gets every message that is sent for the request.
    response: gets the status of the response.
    """

    def __init__(self, bus: Bus | TypedBus, stamps: tuple[Stamp, ...], sent: list[Message], response: Response) -> None:
        self.bus, self.stamps = bus, stamps
        self._sent, self._response = sent, response

    async def ask(self, intent: IntentOf[R], *stamps: Stamp) -> R:
        """Send an intent and return its result; see `modd.Bus.ask`.

        stamps: further stamps, such as a `Delay`.
        """
        return await self._ask(intent, stamps)  # type: ignore[no-any-return]

    async def dispatch(self, intent: IntentOf[R], *stamps: Stamp) -> Dispatched[R]:
        """Send an intent and return the whole outcome; see `modd.Bus.dispatch`.

        stamps: further stamps, such as a `Delay`.
        """
        return await self._dispatch(intent, stamps)

    async def accept(self, message: Message, *stamps: Stamp) -> Accepted:
        """Send a message whose result the client does not wait for, and return its id.

        If the message was queued, the status of the response is 202. Raises `NotAnswered` if it was neither queued nor
        handled, because a middleware stopped it.

        stamps: further stamps, such as a `Delay`.
        """
        dispatched = await self._dispatch(message, stamps)
        queued = dispatched.envelope.has(Queued)
        if not (queued or dispatched.answered):
            raise NotAnswered(type(message), self.bus.name)
        if queued:
            self._response.status_code = 202
        return Accepted(dispatched.envelope.id)

    async def _ask(self, intent: Any, stamps: tuple[Stamp, ...]) -> Any:
        self._sent.append(intent)
        return await self.bus.ask(intent, *self.stamps, *stamps)

    async def _dispatch(self, message: Any, stamps: tuple[Stamp, ...]) -> Dispatched[Any]:
        self._sent.append(message)
        dispatched: Any = await self.bus.dispatch(message, *self.stamps, *stamps)
        return dispatched  # type: ignore[no-any-return]


def bus_with(*dependencies: Callable[..., Any]) -> Callable[..., Awaitable[RequestBus]]:
    """Return a dependency that gives a route the `RequestBus` with the stamps of the request.

    ``Shop = Annotated[RequestBus, Depends(bus_with(actor_of))]``, then ``async def place(order: Body[PlaceOrder], shop:
    Shop)``. Without arguments, messages have no further stamps.

    dependencies: dependencies of FastAPI, each of which returns a stamp for the messages of the request, such as an
        `Actor` or a `Tenant`, or None.

    Raises:
        InvalidOption: an argument is no function.
        NotInstalled: for each request, if the app has no bus.
    """
    for each in dependencies:
        checked_callable("dependency", each, "give a dependency of FastAPI that returns a stamp or None")

    async def request_bus(connection: HTTPConnection, response: Response, **stamps: Stamp | None) -> RequestBus:
        bus = getattr(connection.app.state, BUS, None)
        if bus is None:
            raise NotInstalled(connection.app.title)
        sent = connection.scope.setdefault(SENT, [])
        return RequestBus(bus, tuple(stamp for stamp in stamps.values() if stamp is not None), sent, response)

    request_bus.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection),
            Parameter("response", Parameter.POSITIONAL_OR_KEYWORD, annotation=Response),
            *(
                Parameter(f"stamp_{at}", Parameter.KEYWORD_ONLY, annotation=Annotated[Any, Depends(each)])
                for at, each in enumerate(dependencies)
            ),
        ]
    )
    return request_bus
