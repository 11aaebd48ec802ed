"""A shop behind HTTP, for the tests of `modd.fastapi`."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import httpx2
import msgspec
from fastapi import APIRouter, Depends, FastAPI, Header

from modd import Bus, Message, Sensitive
from modd.cqrs import Actor, Command, CommandBus, Envelope, Event, Query, QueryBus, Tenant
from modd.fastapi import Accepted, Body, RequestBus, bus_with, install
from modd.middleware import Authorizer, Enqueue, Validator, anyone, authenticated
from modd.stores import MemoryQueue

T = TypeVar("T")

Name = Annotated[str, msgspec.Meta(min_length=2)]


class Color(enum.Enum):
    RED = "red"


class Line(msgspec.Struct, frozen=True):
    sku: Name
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


@dataclass(frozen=True)
class Address:
    street: str
    color: Color = Color.RED


class Card(Message):
    number: Annotated[str, Sensitive, msgspec.Meta(pattern="^4")]


class Cash(Message):
    pass


class Tree(msgspec.Struct):
    name: str
    inside: list[Tree] = msgspec.field(default_factory=list)


class PlaceOrder(Command[int]):
    lines: list[Line]
    pay: Card | Cash
    address: Address | None = None
    tree: Tree | None = None


class SendMail(Command[None]):
    to: str


class Ship(Command[None]):
    order: Annotated[int, msgspec.Meta(ge=1)]


class GetOrder(Query[PlaceOrder]):
    id: Annotated[int, msgspec.Meta(ge=1)]


class Page(Message, Generic[T]):
    items: list[T]


class OrderPlaced(Event):
    id: int


class OutOfStock(Exception):
    """A handler's own error."""


async def actor_of(user: Annotated[str | None, Header()] = None) -> Actor | None:
    return None if user is None else Actor(id=user)


def tenant_of(tenant: Annotated[str, Header()] = "none") -> Tenant:
    return Tenant(id=tenant)


ShopBus = Annotated[RequestBus, Depends(bus_with(actor_of, tenant_of))]

router = APIRouter()


@router.post("/orders", status_code=201)
async def place(order: Body[PlaceOrder], shop: ShopBus) -> int:
    return await shop.ask(order)


@router.get("/orders/{id}")
async def find(id: int, shop: ShopBus) -> PlaceOrder:
    return await shop.ask(GetOrder(id))


@router.get("/orders")
async def page(id: int, shop: ShopBus) -> Page[PlaceOrder]:
    return Page([(await shop.dispatch(GetOrder(id))).result])


@router.post("/mails")
async def mail(command: Body[SendMail], shop: ShopBus) -> Accepted:
    return await shop.accept(command)


@router.post("/shipments")
async def ship(command: Body[Ship], shop: ShopBus) -> Accepted:
    return await shop.accept(command)


@router.post("/payments")
async def pay(payment: Body[Card | Cash]) -> Card | Cash:
    return payment


class Shop:
    """The app, and what is behind it."""

    def __init__(self, statuses: dict[type[Exception], int] = {}) -> None:  # noqa: B006  # only read
        self.queue = MemoryQueue()
        self.envelopes: list[Envelope[Any]] = []
        self.error: Exception | None = None
        self.order = PlaceOrder([Line("yoyo")], Card("4111"))
        commands = CommandBus(
            [self.place, self.send_mail, self.ship],
            middleware=[
                Authorizer({Command: authenticated}),
                Validator(),
                Enqueue(self.queue, intents={PlaceOrder: {"enabled": False}, Ship: {"enabled": False}}),
            ],
        )
        queries = QueryBus([self.find], middleware=[Authorizer({Query: anyone}), Validator()])
        self.bus = Bus([commands, queries], name="shop")
        self.app = FastAPI(title="shop")
        self.app.include_router(router)
        install(self.app, self.bus, {OutOfStock: 409} | statuses)

    def place(self, order: PlaceOrder, envelope: Envelope[PlaceOrder]) -> int:
        self.envelopes.append(envelope)
        if self.error is not None:
            raise self.error
        return len(self.envelopes)

    def send_mail(self, command: SendMail) -> None: ...

    def ship(self, command: Ship) -> None: ...

    def find(self, query: GetOrder) -> PlaceOrder:
        return self.order


@asynccontextmanager
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """Run an app as a server does, on the loop of the test."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://shop", headers={"user": "ada"}) as opened,
    ):
        yield opened


ORDER = {"lines": [{"sku": "yoyo"}], "pay": {"$type": "Card", "number": "4111"}}
