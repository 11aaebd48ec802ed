"""A gateway that listens: real requests, its end, and a port that is taken."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from modd import Bus
from modd.app import App, PortTaken
from modd.cqrs import QueryBus
from modd.gateway import EVERYBODY, Gateway, answer
from tests.gateway.shop import ADA, ORDER, Prices, Shop

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a gateway beside the block, and stop it in the end."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            await gateway.wait_ready()
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.bound_port}", headers=ADA) as opened:
                yield opened
            gateway.stop()


async def test_it_answers_at_its_port_until_it_is_stopped() -> None:
    # GW-10 GW-18
    shop = Shop()
    gateway = shop.gateway(listen="127.0.0.1:0")
    assert (gateway.label, gateway.stops_first, gateway.bound_port) == ("gateway", True, None)
    async with listening(gateway) as ada:
        assert shop.bus.is_open
        placed = await ada.post("/commands/place-order", json=ORDER)
        head = await ada.head("/queries/prices")
    assert (placed.status_code, placed.json()["result"]) == (200, 7)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "3")
    assert "server" not in placed.headers
    assert gateway.bound_port is None
    assert not shop.bus.is_open


async def test_a_request_that_is_being_handled_is_answered_at_the_stop() -> None:
    # GW-10
    shop, going, answers = Shop(), anyio.Event(), list[Any]()
    gateway = shop.gateway(listen="127.0.0.1:0")

    async def handle() -> int:
        going.set()
        gateway.stop()
        await anyio.lowlevel.checkpoint()
        return 1

    async def place() -> None:
        answers.append(await ada.post("/commands/place-order", json=ORDER))

    shop.handle = lambda message: handle()
    async with listening(gateway) as ada:
        await place()
    assert going.is_set()
    assert answers[0].json()["result"] == 1


async def test_a_run_that_is_cancelled_closes_the_port() -> None:
    # GW-10
    gateway, port = Shop().gateway(listen="127.0.0.1:0"), 0
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            await gateway.wait_ready()
            port = gateway.bound_port or 0
            tasks.cancel_scope.cancel()
        with pytest.raises(OSError, match=r"connect|refused|failed"):
            await anyio.connect_tcp("127.0.0.1", port)


async def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    # GW-10
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} of 127.0.0.1 is taken.*Gateway\(listen=\.\.\.\)"):
            await Shop().gateway(listen=f"127.0.0.1:{port}").run()


async def test_a_mounted_gateway_runs_until_it_is_stopped_and_leaves_an_open_bus_open() -> None:
    # GW-10
    queries = QueryBus([Shop().prices], name="queries")
    gateway = Gateway(Bus([queries]), answer(Prices, allow=EVERYBODY))
    mine = Gateway(queries, answer(Prices, allow=EVERYBODY))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for each in (gateway, mine):
                tasks.start_soon(each.run)
                await each.wait_ready()
            gateway.stop()
            mine.stop()
    bus = Shop().bus
    async with bus:
        gateway = Gateway(bus, answer(Prices, allow=EVERYBODY))
        gateway.stop()
        await gateway.run()
        assert bus.is_open


async def test_an_app_runs_it_with_its_bus_open() -> None:
    # GW-10
    shop = Shop()
    gateway = shop.gateway(listen="127.0.0.1:0")
    async with App("shop", gateway).running():
        assert shop.bus.is_open
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.bound_port}", headers=ADA) as ada:
            assert (await ada.get("/queries/prices")).json() == [7]
    assert not shop.bus.is_open


async def test_a_server_may_tell_it_of_its_start_and_end() -> None:
    # GW-18
    sent: list[Any] = []

    async def receive() -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asgi = Shop().gateway().asgi
    await asgi({"type": "lifespan"}, receive, send)
    await asgi({"type": "websocket", "path": "/ws"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
