"""A gateway's events without its HTTP: a shop with a feed, and clients that speak ASGI with it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import anyio
import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from modd import Bus
from modd.cqrs import Actor, Codec, Command, CommandBus, Envelope, Event, Query, QueryBus
from modd.gateway import EVERYBODY, Limits, Refused, Request, accept, answer, forward
from modd.gateway.admission import Admission
from modd.gateway.calls import Calls
from modd.gateway.client_events import ClientEvents
from modd.gateway.hub import Hub
from modd.gateway.limits import ConnectionCount
from modd.gateway.problems import Problems
from modd.gateway.sse import event_stream
from modd.gateway.websocket import WebSockets
from modd.ports import Item
from modd.stores import MemoryFeed


class OrderPlaced(Event):
    number: int
    customer: str = "ada"


class PriceChanged(Event):
    sku: str


class Unheard(Event):
    pass


class PlaceOrder(Command[int]):
    number: int


class CountOrders(Query[int]):
    pass


CODEC = Codec([OrderPlaced, PriceChanged, Unheard])
ADA = Actor("ada")
TOKENS = {"a": ADA, "b": Actor("bob")}


def who(request: Request) -> Actor | None:
    """Return the actor of a token, in the header or in a cookie."""
    token = request.bearer or request.cookie("token")
    if token == "locked":
        raise Refused(403, "The account is locked.")
    if token == "unknown":
        raise Refused(401, "The token is too old.")
    return TOKENS.get(token or "")


def is_own(actor: Actor | None, channel: str) -> bool:
    return actor is not None and channel == f"orders/{actor.id}"


def orders_of(event: OrderPlaced) -> str | Collection[str] | None:
    return f"orders/{event.customer}"


ORDERS = forward(OrderPlaced, to=orders_of, allow=is_own)
PRICES = forward(
    PriceChanged, to=lambda event: f"prices/{event.sku}", allow=lambda actor, channel: channel.startswith("prices/")
)


def item_of(event: Event) -> Item:
    return Item(CODEC.encode(Envelope(event)))


class Shop:
    """The parts of a gateway that clients of events meet.

    limits: options of `Limits`. handlers: handlers of the commands and queries. forwards: the events. feed: the feed.
    """

    def __init__(
        self,
        *,
        handlers: Sequence[Callable[..., Any]] = (),
        forwards: Sequence[Any] = (ORDERS, PRICES),
        feed: Any = None,
        has_feed: bool = True,
        knows_clients: bool = True,
        **limits: Any,
    ) -> None:
        self.feed = MemoryFeed() if feed is None else feed
        self.limits = Limits(**limits)
        self.bus = Bus([CommandBus(handlers[:1]), QueryBus(handlers[1:])], name="shop")
        exposures = [accept(PlaceOrder), answer(CountOrders, allow=EVERYBODY)]
        admission = Admission(who if knows_clients else None, ["https://shop.example"])
        self.calls = Calls(self.bus, exposures, forwards, admission, Problems({}), self.limits)
        self.hub = Hub(self.feed, forwards, CODEC, self.limits) if has_feed else None
        self.events = ClientEvents(self.calls, self.limits, self.hub)
        self.websockets = WebSockets(
            self.calls, self.events, ConnectionCount(self.limits), self.limits, needs_actor=knows_clients
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Shop]:
        """Have the hub follow the feed for a block."""
        async with self.bus, self.events.running(anyio.Event()):
            await self.events.wait_ready()
            yield self

    async def place(self, *numbers: int, customer: str = "ada") -> None:
        await self.feed.put(*[item_of(OrderPlaced(number, customer)) for number in numbers])

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as a gateway does."""
        request = Request(HTTPConnection(scope), "127.0.0.1")
        if scope["type"] == "websocket":
            await self.websockets.serve(WebSocket(scope, receive, send), request)
            return
        try:
            response = await event_stream(request, await self.calls.identify(request), self.events)
        except Exception as error:
            problem = self.calls.problem(error)
            response = Response(problem.encode(), problem.status, problem.headers)
        await response(scope, receive, send)


class Client:
    """A client of an ASGI application, without a network; it may stop reading."""

    def __init__(self) -> None:
        self.reads = anyio.Event()
        """Set while the client takes what is sent."""
        self.reads.set()
        self.incoming: list[MutableMapping[str, Any]] = []
        self.outgoing: list[dict[str, Any]] = []
        self._news, self._sent = anyio.Event(), anyio.Event()
        self.ended = anyio.Event()

    async def run(self, app: Callable[..., Awaitable[None]], scope: Mapping[str, Any]) -> None:
        try:
            await app(dict(scope), self._receive, self._send)
        finally:
            self.ended.set()
            self._sent.set()

    def say(self, message: dict[str, Any]) -> None:
        self.outgoing.append(message)
        self._news.set()

    async def next(self, condition: Callable[[], bool]) -> None:
        """Return as soon as what was received meets a condition."""
        with anyio.fail_after(30):
            while not condition():
                assert not self.ended.is_set(), self.incoming
                self._sent = anyio.Event()
                await self._sent.wait()

    async def _receive(self) -> dict[str, Any]:
        while not self.outgoing:
            self._news = anyio.Event()
            await self._news.wait()
        return self.outgoing.pop(0)

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await self.reads.wait()
        await anyio.lowlevel.checkpoint()
        self.incoming.append(message)
        self._sent.set()


def headers_of(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in {"host": "shop", **headers}.items()]


class SseClient(Client):
    """A client of Server-Sent Events, which reads them as a browser does."""

    def has_begun(self) -> bool:
        """True once the first text has come."""
        return len(self.incoming) > 1

    @property
    def status(self) -> int:
        return int(self.incoming[0]["status"])

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.incoming).decode()

    @property
    def is_complete(self) -> bool:
        return self.incoming[-1]["type"] == "http.response.body" and not self.incoming[-1].get("more_body", False)

    @property
    def last_id(self) -> str:
        ids = [line[4:] for line in self.text.split("\n") if line.startswith("id: ")]
        return ids[-1] if ids else ""

    @property
    def events(self) -> list[tuple[str, Any]]:
        found = []
        for part in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in part.split("\n") if not line.startswith(":"))
            if "data" in fields:
                found.append((fields["event"], msgspec.json.decode(fields["data"])))
        return found

    @property
    def numbers(self) -> list[int]:
        return [data["number"] for name, data in self.events if name == "order-placed"]

    def leave(self) -> None:
        self.say({"type": "http.disconnect"})


def http_scope(
    *channels: str, token: str | None = "a", method: str = "GET", query: str = "", **headers: str
) -> dict[str, Any]:
    texts = [*(f"channel={quote(channel)}" for channel in channels), *([query] if query else [])]
    bearer = {} if token is None else {"authorization": f"Bearer {token}"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "type": "http",
        "method": method,
        "path": "/events",
        "query_string": "&".join(texts).encode(),
        "headers": headers_of(bearer | named),
    }


@asynccontextmanager
async def listening(shop: Shop, *channels: str, **options: Any) -> AsyncIterator[SseClient]:
    """Have a client of Server-Sent Events listen for a block, which begins with the first text."""
    client = SseClient()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run, shop.app, http_scope(*channels, **options))
        await client.next(client.has_begun)
        yield client
        client.leave()
        tasks.cancel_scope.cancel()


async def ask(shop: Shop, *channels: str, **options: Any) -> SseClient:
    """Return a client whose request was answered whole."""
    client = SseClient()
    with anyio.fail_after(300):
        await client.run(shop.app, http_scope(*channels, **options))
    return client


class WsClient(Client):
    """A client of WebSockets."""

    @property
    def frames(self) -> list[Any]:
        return [msgspec.json.decode(each["text"]) for each in self.incoming if each["type"] == "websocket.send"]

    @property
    def code(self) -> int | None:
        return next((each["code"] for each in self.incoming if each["type"] == "websocket.close"), None)

    def send(self, *frames: Any) -> None:
        for frame in frames:
            text = frame if isinstance(frame, str) else msgspec.json.encode(frame).decode()
            self.say({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self.say({"type": "websocket.disconnect", "code": 1006})

    async def got(self, count: int) -> list[Any]:
        """Return the frames as soon as there are so many."""
        await self.next(lambda: len(self.frames) >= count)
        return self.frames


def ws_scope(
    token: str | None = "a",
    subprotocols: Iterable[str] = ("modd.v1",),
    extensions: Iterable[str] = ("websocket.http.response",),
    **headers: str,
) -> dict[str, Any]:
    bearer = {} if token is None else {"authorization": f"Bearer {token}"}
    return {
        "type": "websocket",
        "path": "/ws",
        "query_string": b"",
        "headers": headers_of(bearer | headers),
        "subprotocols": [*subprotocols],
        "extensions": {name: {} for name in extensions},
    }


@asynccontextmanager
async def connected(shop: Shop, **options: Any) -> AsyncIterator[WsClient]:
    """Have a client of WebSockets connected for a block."""
    client = WsClient()
    client.say({"type": "websocket.connect"})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run, shop.app, ws_scope(**options))
        await client.next(lambda: bool(client.incoming))
        yield client
        client.leave()
        tasks.cancel_scope.cancel()


log = logging.getLogger("modd.gateway")
