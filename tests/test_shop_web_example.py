"""The shop for browsers, run as a process: a client without a browser, and the page in headless Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

import anyio
import httpx2
import pytest

from examples.shop_web.app import GetOrders, PlaceOrder, bus_of
from modd.stores import SqliteStore
from tests.chromium import PROGRAM, chromium
from tests.nats.server import free_ports
from tests.test_examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("loop", ["asyncio", "trio"])]

PAGE = (ROOT / "examples" / "shop_web" / "page.html").read_text(encoding="utf-8")
LIMIT = 90.0
"""Seconds; a guard against a process that hangs."""


class ShopProcess:
    """The app on a free port, in a process that may end and start anew.

    file: the file of its store. loop: the loop.
    """

    def __init__(self, file: Path, loop: str) -> None:
        self._file, self._loop = file, loop
        [port] = free_ports(1)
        self._listen = f"127.0.0.1:{port}"
        self.url = f"http://{self._listen}"

    @contextmanager
    def running(self, end: Signals, page: str = "http://127.0.0.1:8001") -> Iterator[None]:
        """Run for a block, and end by a signal. page: the origin of the page."""
        argv = [sys.executable, "-m", "modd", "run", "--loop", self._loop, "examples.shop_web.app:shop"]
        environ = {**os.environ, "SHOP_DB": str(self._file), "SHOP_LISTEN": self._listen, "SHOP_PAGE": page}
        environ |= {"MODD_LOG": "text", "MODD_LOG_LEVEL": "INFO"}
        with subprocess.Popen(argv, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
            try:
                log = ""
                while "ready in" not in log:
                    assert process.stderr is not None and process.poll() is None, log
                    log += process.stderr.readline()
                yield
                process.send_signal(end)
                log += process.communicate(timeout=LIMIT)[1]
                assert process.returncode == (0 if end == SIGTERM else -end), log
                assert "ERROR" not in log, log
            finally:
                process.kill()

    def order(self, *skus: str) -> None:
        """Put orders into the queue, beside the process or without it."""
        anyio.run(self._order, skus)

    async def _order(self, skus: tuple[str, ...]) -> None:
        async with SqliteStore(self._file, timeout=60) as store, bus_of(store) as bus:
            for sku in skus:
                await bus.dispatch(PlaceOrder("ada", sku))

    def orders(self) -> dict[int, str]:
        """Return the articles in the file, by the number of their order."""
        return anyio.run(self._orders)

    async def _orders(self) -> dict[int, str]:
        async with SqliteStore(self._file, timeout=60) as store, bus_of(store) as bus:
            dispatched: Any = await bus.dispatch(GetOrders("ada"))
            return {order.number: order.sku for order in dispatched.result}


@contextmanager
def lines_of(client: httpx2.Client, **headers: str) -> Iterator[Iterator[tuple[str, str]]]:
    """Open the stream of Ada's events; return its lines as name and value."""
    with client.stream("GET", "/events?channel=orders/ada", headers=headers) as response:
        assert response.status_code == 200
        yield ((line.partition(": ")[0], line.partition(": ")[2]) for line in response.iter_lines())


def current_id(client: httpx2.Client) -> str:
    """Return the id after which a client resumes that has heard nothing yet."""
    with lines_of(client) as lines:
        return next(value for name, value in lines if name == "id")


def events_of(client: httpx2.Client, after: str, count: int) -> list[dict[str, str]]:
    """Return so many events after an id."""
    events, fields = list[dict[str, str]](), dict[str, str]()
    with lines_of(client, **{"Last-Event-ID": after}) as lines:
        for name, value in lines:
            fields[name] = value
            if name == "data":
                events.append(fields)
                fields = {}
            if len(events) == count:
                break
    return events


def test_orders_are_handled_once_and_their_events_are_heard_after_a_kill(tmp_path: Path, loop: str) -> None:
    # GW-61
    shop = ShopProcess(tmp_path / "shop.db", loop)
    headers = {"Cookie": "session=t-ada", "Origin": shop.url, "Prefer": "wait=30", "Idempotency-Key": "k-1"}

    def order() -> Any:
        sent = client.post("/commands/place-order", json={"customer": "ada", "sku": "rope"})
        return sent.status_code, sent.json()

    with httpx2.Client(base_url=shop.url, headers=headers, trust_env=False, timeout=LIMIT) as client:
        with shop.running(SIGKILL):
            before = current_id(client)
            assert order() == (200, {"id": "ada:k-1", "result": None})
            heard = events_of(client, before, 2)
        shop.order("lamp")
        with shop.running(SIGTERM):
            heard += events_of(client, heard[-1]["id"], 2)
            assert order() == (200, {"id": "ada:k-1", "result": None})
    assert [each["event"] for each in heard] == ["order-placed", "order-shipped"] * 2
    assert shop.orders() == {1: "rope", 2: "lamp"}


@contextmanager
def page_served(shop: str) -> Iterator[str]:
    """Serve the page at an origin of its own, for a shop at a URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.replace("http://127.0.0.1:8000", shop).encode())

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")
def test_a_page_in_a_browser_hears_each_event_once_though_the_server_starts_anew(tmp_path: Path, loop: str) -> None:
    # GW-60
    shop = ShopProcess(tmp_path / "shop.db", loop)
    with page_served(shop.url) as origin, chromium(tmp_path / "profile") as page:

        def shows(*texts: str) -> None:
            page.wait_for(lambda: page.run("[...document.querySelectorAll('li')].map(li => li.innerText)") == [*texts])

        with shop.running(SIGTERM, origin):
            shop.order("lamp")
            page.open(f"{origin}/page.html")
            shows("1 lamp shipped")
            page.run("document.querySelector('button').click()")
            shows("1 lamp shipped", "2 rope shipped")
            page.wait_for(lambda: page.run("document.querySelector('output').innerText") == "Thank you.")
        shop.order("oil")
        with shop.running(SIGKILL, origin):
            shows("1 lamp shipped", "2 rope shipped", "3 oil shipped")
        heard = page.heard()
    assert len({id for id, _, _ in heard}) == len(heard)
    assert [(name, data["number"]) for _, name, data in heard][-4:] == [
        (name, number) for number in (2, 3) for name in ("order-placed", "order-shipped")
    ]
