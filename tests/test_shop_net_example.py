"""The shop as one process and as four: the same components, and the same for its clients."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import httpx2
import pytest

from tests.nats.permissions import address_of, permissions
from tests.nats.server import NatsServer, free_ports

FOLDER = Path(__file__).parents[1] / "examples" / "shop_net"
LIMIT = 60.0
"""Seconds; a guard against processes that do not start."""


def imported(module: str) -> set[str]:
    """The modules that a module imports."""
    tree = ast.parse((FOLDER / module).read_text())
    return {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_components_know_no_process_no_store_and_no_network() -> None:
    # RE-21
    assert imported("components.py").isdisjoint({"modd.app", "modd.gateway", "modd.nats", "modd.remote", "modd.stores"})


@contextmanager
def running(target: str, **settings: str) -> Iterator[None]:
    """Run an app of the example as a process; it ends in order."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modd", "run", target], cwd=FOLDER, env=os.environ | settings, stderr=subprocess.PIPE
    )
    try:
        yield
        process.terminate()
        _, log = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, log.decode()
    finally:
        process.kill()
        process.communicate()


def seen_by_client(port: int) -> list[str]:
    """The answers and events of a client that listens, orders twice, tries to order for another, and asks."""
    headers = {"authorization": "Bearer ada-token"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=LIMIT) as client:
        wait_until_served(client)
        with client.stream("GET", "/events", params={"channel": "orders/ada"}) as events:
            lines = events.iter_lines()
            next(line for line in lines if line.startswith("id: "))  # from here on it hears each event
            orders = [("ada", "yoyo", 1), ("ada", "rope", 2), ("bob", "rope", 2)]
            seen = [place(client, *order) for order in orders]
            found = (line for line in lines if line.startswith("data: {"))
            seen += [next(found), next(found)]
        return [*seen, client.get("/queries/get-orders", params={"customer": "ada"}).text]


def place(client: httpx2.Client, customer: str, sku: str, quantity: int) -> str:
    order = {"customer": customer, "sku": sku, "quantity": quantity}
    return str(client.post("/commands/place-order", json=order).status_code)


def wait_until_served(client: httpx2.Client) -> None:
    """Return when a query is answered: the gateway listens, and the context behind it is served."""
    until, said = monotonic() + LIMIT, "nothing"
    while monotonic() < until:
        with suppress(httpx2.TransportError):
            answer = client.get("/queries/get-orders", params={"customer": "ada"})
            if answer.status_code == 200:
                return
            said = answer.text
        sleep(0.05)
    raise AssertionError(f"the gateway does not answer; it said {said}")


SEEN = [
    "202",
    "202",
    "403",
    'data: {"customer":"ada","sku":"yoyo","quantity":1}',
    'data: {"customer":"ada","sku":"rope","quantity":2}',
    '["1 x yoyo","2 x rope"]',
]


@pytest.mark.slow
def test_one_process_and_four_processes_are_the_same_for_a_client(tmp_path: Path) -> None:
    # RE-21, RE-22: the three processes around NATS have the rights of the page of the book
    ports = free_ports(3)
    one = {"SHOP_DB": str(tmp_path / "shop.db"), "SHOP_LISTEN": f"127.0.0.1:{ports[0]}", "SHOP_HEALTH": str(ports[1])}
    with running("monolith:shop", **one):
        assert seen_by_client(ports[0]) == SEEN
    with NatsServer(tmp_path / "nats", permissions()) as server, ExitStack() as processes:
        for name, settings in (("billing", {}), ("orders", {}), ("front", {"SHOP_LISTEN": f"127.0.0.1:{ports[2]}"})):
            processes.enter_context(running(f"{name}:{name}", SHOP_NATS=address_of(server, name), **settings))
            if name == "orders":
                wait_for_feed(server)
        assert seen_by_client(ports[2]) == SEEN
        assert "Violation" not in server.log, server.log


def wait_for_feed(server: NatsServer) -> None:
    """Return when orders has created its store and the feed in it."""
    until = monotonic() + LIMIT
    while server.ask_monitor("/jsz")["messages"] == 0:
        assert monotonic() < until, "orders did not create the feed"
        sleep(0.02)
