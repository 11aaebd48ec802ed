"""A gateway that listens, with a feed: events over real sockets, and the end of streams at the stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import msgspec
import pytest
from anyio.abc import SocketStream
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from modd.cqrs import Codec, CommandBus, Event, InvalidUpcasters
from modd.errors import InvalidOption
from modd.gateway import EVERYBODY, Gateway, Limits, accept, forward
from modd.ports import Feed
from modd.stores import MemoryFeed
from tests.gateway.events_shop import (
    CODEC,
    ORDERS,
    PRICES,
    OrderPlaced,
    PlaceOrder,
    SseClient,
    http_scope,
    item_of,
    who,
)

pytestmark = pytest.mark.anyio

ADA = {"authorization": "Bearer a"}


async def place_order(command: PlaceOrder) -> int:
    return command.number


def gateway_of(feed: Feed, **options: Any) -> Gateway:
    exposures: list[Any] = [accept(PlaceOrder), ORDERS, PRICES]
    return Gateway(CommandBus([place_order]), *exposures, feed=feed, who=who, listen="127.0.0.1:0", **options)


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[Gateway]:
    """Run a gateway beside the block, and stop it in the end."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            await gateway.wait_ready()
            yield gateway
            gateway.stop()


async def lines_until(lines: AsyncIterator[str], end: str) -> list[str]:
    found = []
    async for line in lines:
        found.append(line)
        if line.startswith(end):
            break
    return found


async def test_events_reach_a_client_over_http_and_its_stream_ends_at_the_stop() -> None:
    # GW-20 GW-27
    feed = MemoryFeed()
    async with running(gateway_of(feed, codec=CODEC)) as gateway:
        client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.bound_port}", headers=ADA, timeout=30)
        async with client, client.stream("GET", "/events", params={"channel": "orders/ada"}) as response:
            assert (response.status_code, response.headers["X-Content-Type-Options"]) == (200, "nosniff")
            lines = response.aiter_lines()
            await lines_until(lines, ": ok")
            await feed.put(item_of(OrderPlaced(7)))
            assert (await lines_until(lines, "data:"))[-1] == 'data: {"number":7,"customer":"ada"}'
            gateway.stop()
            assert [line async for line in lines] == [""]


async def test_a_connection_whose_stream_has_ended_takes_the_next_request_and_is_closed_at_the_stop() -> None:
    # GW-26 GW-27 GW-62
    request = b"GET /events?channel=orders/ada HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer a\r\n\r\n"
    gateway = gateway_of(MemoryFeed(), codec=CODEC, limits=Limits(lifetime=0.01))
    async with running(gateway), await anyio.connect_tcp("127.0.0.1", gateway.bound_port or 0) as stream:
        for _ in range(2):
            await stream.send(request)
            received = b""
            while not received.endswith(b"0\r\n\r\n"):
                received += await stream.receive()
            assert received.startswith(b"HTTP/1.1 200")
        gateway.stop()
        with anyio.fail_after(15), pytest.raises(anyio.EndOfStream):  # the server itself would wait 30 s
            await stream.receive()


class Connection:
    """A client of WebSockets over a socket."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream, self.protocol = stream, WSConnection(ConnectionType.CLIENT)
        self.events: list[Any] = []

    async def open(self, token: str) -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())]
        request = Request(host="shop", target="/ws", subprotocols=["modd.v1"], extra_headers=headers)
        await self.stream.send(self.protocol.send(request))

    async def say(self, frame: Any) -> None:
        await self.stream.send(self.protocol.send(TextMessage(msgspec.json.encode(frame).decode())))

    async def next(self, kind: type[Any]) -> Any:
        """Return the next event, which is of this kind."""
        while not self.events:
            self.protocol.receive_data(await self.stream.receive())
            self.events += self.protocol.events()
        event = self.events.pop(0)
        assert isinstance(event, kind)
        return event


async def test_a_websocket_has_answers_and_events_and_ends_with_1012_at_the_stop() -> None:
    # GW-27 GW-30
    feed = MemoryFeed()
    async with running(gateway_of(feed)) as gateway:
        assert gateway.bound_port is not None
        async with await anyio.connect_tcp("127.0.0.1", gateway.bound_port) as stream:
            client = Connection(stream)
            await client.open("a")
            assert (await client.next(AcceptConnection)).subprotocol == "modd.v1"
            await client.say({"command": "place-order", "ref": "1", "data": {"number": 5}})
            assert msgspec.json.decode((await client.next(TextMessage)).data)["result"] == 5
            await feed.put(item_of(OrderPlaced(7)))
            await client.say({"subscribe": ["orders/ada"], "after": 0})
            assert msgspec.json.decode((await client.next(TextMessage)).data)["data"]["number"] == 7
            gateway.stop()
            assert (await client.next(CloseConnection)).code == 1012


async def test_a_gateway_that_is_cancelled_ends_its_streams_at_once() -> None:
    # GW-27
    gateway = gateway_of(MemoryFeed())
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            await gateway.wait_ready()
            client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.bound_port}", headers=ADA, timeout=30)
            async with client, client.stream("GET", "/events", params={"channel": "orders/ada"}) as response:
                lines = response.aiter_lines()
                await lines_until(lines, ": ok")
                with anyio.CancelScope(shield=True):
                    tasks.cancel_scope.cancel()
                    assert [line async for line in lines] == [""]


async def test_a_mounted_gateway_that_is_stopped_ends_its_streams_before_its_run() -> None:
    # GW-27
    gateway = Gateway(CommandBus([place_order]), accept(PlaceOrder), ORDERS, feed=MemoryFeed(), who=who)
    async with running(gateway), anyio.create_task_group() as tasks:
        client = SseClient()
        tasks.start_soon(client.run, gateway.asgi, http_scope("orders/ada"))
        await client.next(client.has_begun)
        gateway.stop()
        await client.ended.wait()
        assert client.is_complete


async def test_the_lifespan_of_the_application_follows_the_feed() -> None:
    gateway = Gateway(CommandBus([place_order]), accept(PlaceOrder), ORDERS, feed=MemoryFeed(), who=who)
    started, ended = anyio.Event(), anyio.Event()
    messages = iter(["startup", "shutdown"])

    async def receive() -> dict[str, Any]:
        phase = next(messages)
        if phase == "shutdown":
            started.set()
            await ended.wait()
        return {"type": f"lifespan.{phase}"}

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            app: Any = gateway.asgi
            tasks.start_soon(app, {"type": "lifespan"}, receive, send)
            await started.wait()
            client = httpx2.AsyncClient(transport=httpx2.ASGITransport(gateway.asgi), base_url="http://shop")
            async with client:
                refused = await client.get("/events", headers=ADA)
            assert refused.status_code == 400
            ended.set()


@pytest.mark.parametrize("option", [{"feed": object()}, {"codec": object()}])
def test_an_option_that_cannot_work_is_refused_when_the_gateway_is_made(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        gateway_of(**({"feed": MemoryFeed()} | option))


class Renewed(Event):
    schema_version = 2

    number: int


def test_a_type_with_a_version_needs_a_codec() -> None:
    renewed, bus = forward(Renewed, to=lambda event: "a", allow=EVERYBODY), CommandBus([place_order])
    with pytest.raises(InvalidUpcasters):
        Gateway(bus, renewed, feed=MemoryFeed(), who=who)
    codec = Codec([Renewed], upcasters={Renewed: {}})
    assert Gateway(bus, renewed, feed=MemoryFeed(), who=who, codec=codec).problem() is None
