"""Attacks by HTTP/2, in which clients speak past the proxy that stands before a gateway."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import h2.config
import h2.connection
import h2.events
import pytest
from anyio.abc import SocketStream
from hypercorn.config import Config

from modd.gateway import Limits
from modd.serving import server as server_module
from modd.serving.connections import LoneConnection
from modd.serving.guards import guard, set_guarded
from tests.gateway.shop import Shop
from tests.gateway.wire import exchange, listening_at, request, status_of

pytestmark = pytest.mark.anyio


@pytest.mark.slow
@pytest.mark.parametrize("upgrade", [True, False])
async def test_no_tunnel_of_http_2_leads_past_a_proxy(upgrade: bool) -> None:
    # GW-43: a proxy adds no X-Forwarded-For to requests in a tunnel that it does not look into
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    async with listening_at(Shop().gateway(listen="127.0.0.1:0", limits=Limits(timeout=1))) as port:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            if upgrade:
                await stream.send(upgrade_of(client))
                assert status_of(await stream.receive()) == 101
            else:
                client.initiate_connection()
                target = [(":method", "GET"), (":path", "/queries/prices"), (":scheme", "http"), (":authority", "shop")]
                client.send_headers(1, target, end_stream=True)
            await stream.send(client.data_to_send())
            assert await status_in_tunnel(client, stream) in ("505", "")
        assert status_of(await exchange(port, request("GET /queries/prices"))) == 200


def upgrade_of(client: h2.connection.H2Connection) -> bytes:
    """Return the request that opens a tunnel, and asks the first thing in it."""
    settings = (client.initiate_upgrade_connection() or b"").decode()
    asked = request("GET /queries/prices", "Upgrade: h2c", f"HTTP2-Settings: {settings}")
    return asked.replace(b"Connection: close", b"Connection: Upgrade, HTTP2-Settings")


async def status_in_tunnel(client: h2.connection.H2Connection, stream: SocketStream) -> str:
    """Return the status of the response that comes in a tunnel; an empty text if the tunnel ends before it."""
    try:
        while True:
            for event in client.receive_data(await stream.receive()):
                if isinstance(event, h2.events.ResponseReceived):
                    return next(str(value) for name, value in event.headers if str(name) == ":status")
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return ""


@pytest.mark.parametrize(
    ("scope", "types"),
    [
        ({"type": "http", "http_version": "2"}, [("http.response.start", 505), ("http.response.body", None)]),
        ({"type": "websocket", "http_version": "2"}, [("websocket.close", None)]),
        ({"type": "http", "http_version": "1.1"}, ["app"]),
        ({"type": "lifespan"}, ["app"]),
    ],
)
async def test_requests_of_http_2_do_not_reach_the_application(scope: Any, types: list[Any]) -> None:
    # GW-43
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent.append("app")

    async def send(message: Any) -> None:
        sent.append((message["type"], message.get("status")))

    await server_module._Http1(app)(scope, send, send)  # type: ignore[arg-type]
    assert sent == types


async def test_a_connection_that_fails_ends_alone() -> None:
    # GW-43
    class Connection:
        def __init__(self, config: Config) -> None: ...

        async def run(self) -> None:
            raise ExceptionGroup("several", [ValueError("broken")])

    server, guarded = SimpleNamespace(TCPServer=Connection), Config()
    guard(server, "TCPServer", LoneConnection)
    factory = server.TCPServer
    guard(server, "TCPServer", LoneConnection)
    assert server.TCPServer is factory
    set_guarded(guarded)
    await factory(guarded).run()
    with pytest.raises(ExceptionGroup):  # another server of hypercorn in the process stays as it is
        await factory(Config()).run()
