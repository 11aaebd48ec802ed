"""A gateway in uvicorn: as its application, and mounted in one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from modd.cqrs import CommandBus
from modd.gateway import EVERYBODY, Gateway, accept
from modd.stores import MemoryFeed
from tests.gateway.letters import LETTERS, letters, listen_to_letters, read_letters
from tests.gateway.shop import Ping

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop that uvicorn has."""
    return "asyncio"


def alone(gateway: Gateway) -> Any:
    return gateway.asgi


def mounted(gateway: Gateway) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            yield
            gateway.stop()

    return Starlette(routes=[Mount("/", gateway.asgi)], lifespan=lifespan)


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """Serve an application for a block, with the port for it; requests that come before the start wait."""
    config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
    with socket.create_server(("127.0.0.1", 0)) as listening, anyio.fail_after(60):
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            yield listening.getsockname()[1]
            server.should_exit = True


@pytest.mark.parametrize("app_of", [alone, mounted])
async def test_uvicorn_serves_a_gateway_and_ends_although_a_client_hears_events(
    app_of: Callable[[Gateway], Any],
) -> None:
    # GW-69
    feed, bus = MemoryFeed(), CommandBus({Ping: lambda ping: None})
    gateway = Gateway(bus, accept(Ping, allow=EVERYBODY), LETTERS, feed=feed)
    async with bus, serving(app_of(gateway)) as port, httpx2.AsyncClient() as http:
        assert (await http.post(f"http://127.0.0.1:{port}/commands/ping", json={})).status_code == 200
        stream = await anyio.connect_tcp("127.0.0.1", port)
        begun = await listen_to_letters(stream)
        await feed.put(*letters([1]))
        assert await read_letters(stream, 1, begun) == [1]
    await stream.aclose()
