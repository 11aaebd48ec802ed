"""A shop behind a gateway, for the tests of `modd.gateway`."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
import msgspec

from modd import Bus, Sensitive
from modd.cqrs import Actor, Command, CommandBus, Envelope, Event, Query, QueryBus
from modd.gateway import EVERYBODY, Gateway, Refused, Request, accept, answer, role
from modd.middleware import Enqueue
from modd.stores import MemoryQueue


class Color(enum.Enum):
    RED = "red"


class Line(msgspec.Struct, frozen=True):
    sku: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class PlaceOrder(Command[int]):
    lines: list[Line]
    card: Annotated[str, Sensitive] = ""
    price: float = 0.0


class Ping(Command[None]):
    pass


class SendMail(Command[None]):
    to: str


class Secret(Command[None]):
    """A type that the bus handles, and the gateway does not expose."""


class GetOrder(Query[dict[str, Any]]):
    customer: str
    id: int = 0
    whole: bool = False
    price: float = 0.0
    color: Color | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    ids: tuple[int, ...] | None = None


class Prices(Query[list[int]]):
    pass


class OrderPlaced(Event):
    customer: str


class EmailTaken(Exception):
    """An error of the application."""


class Shop:
    """The bus, and what its handlers have seen."""

    def __init__(self) -> None:
        self.queue = MemoryQueue()
        self.envelopes: list[Envelope[Any]] = []
        self.handle: Callable[[Any], Any] = lambda message: 7
        commands = CommandBus(
            [self.place, self.ping, self.send_mail, self.secret],
            middleware=[Enqueue(self.queue, intents={kind: {"enabled": False} for kind in (PlaceOrder, Ping, Secret)})],
        )
        queries = QueryBus([self.get, self.prices])
        self.bus = Bus([commands, queries], name="shop")

    async def place(self, order: PlaceOrder, envelope: Envelope[PlaceOrder]) -> int:
        self.envelopes.append(envelope)
        result = self.handle(order)
        number: int = await result if isinstance(result, Awaitable) else result
        return number

    def ping(self, ping: Ping) -> None: ...

    def send_mail(self, mail: SendMail) -> None: ...

    def secret(self, secret: Secret) -> None: ...

    def get(self, query: GetOrder) -> dict[str, Any]:
        return msgspec.to_builtins(query)  # type: ignore[no-any-return]

    async def prices(self, query: Prices) -> list[int]:
        result = self.handle(query)
        return [await result if isinstance(result, Awaitable) else result]

    def gateway(self, *more: Any, **options: Any) -> Gateway:
        """Return a gateway of the shop."""
        given: dict[str, Any] = {"who": who, "origins": ["https://shop.example"]} | options
        return Gateway(
            self.bus,
            accept(PlaceOrder, allow=role("customer", "clerk")),
            accept(Ping),
            accept(SendMail, name="mail"),
            answer(GetOrder, allow=lambda actor, query: actor.id == query.customer, cache="private, max-age=60"),
            answer(Prices, allow=EVERYBODY),
            *more,
            **given,
        )


def who(request: Request) -> Actor | None:
    """Return the actor that a token or a cookie names: ``ada:customer``."""
    token = request.bearer or request.cookie("session")
    if token == "old":
        raise Refused(401, "The token is too old.")
    if not token:
        return None
    id, _, roles = token.partition(":")
    return Actor(id, roles=(roles,))


ADA = {"Authorization": "Bearer ada:customer"}
ORDER = {"lines": [{"sku": "yoyo"}]}


@asynccontextmanager
async def client(gateway: Gateway, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of a gateway, without a socket."""
    transport = httpx2.ASGITransport(gateway.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as opened:
        yield opened
