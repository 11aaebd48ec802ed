"""The shop of four processes while each app and the server are killed: no accepted order is lost or heard twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import sleep

import pytest

from tests.nats.server import NatsServer, free_ports
from tests.proofs.sizes import size_of
from tests.proofs.socket_client import SocketClient

pytestmark = pytest.mark.slow

ORDERS = size_of("SHOP_NET", 60)
"""The orders that are accepted; a quarter of them before each kill, and the rest after the last."""


FOLDER = Path(__file__).parents[2] / "examples" / "shop_net"


class AppProcess:
    """A process of ``python -m modd run``; it can be killed and started again."""

    def __init__(self, folder: Path, name: str, settings: dict[str, str]) -> None:
        self._folder, self._name, self._settings = folder, name, settings
        self.start()

    def start(self) -> None:
        with (self._folder / f"{self._name}.log").open("ab") as log:
            command = [sys.executable, "-m", "modd", "run", f"{self._name}:{self._name}"]
            self._process = subprocess.Popen(command, cwd=self._folder, env=os.environ | self._settings, stderr=log)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()


def copy_with_short_leases(folder: Path) -> Path:
    """Copy the example; a killed process has its items for a second then, so that the proof is short."""
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "orders.py").read_text()
    for part in ("Worker(commands, bus", "Worker(events, bus", "Relay(store.outbox, Tee(events, public)"):
        assert part in text
        text = text.replace(part, f"{part}, lease=1")
    (folder / "orders.py").write_text(text)
    return folder


@contextmanager
def running(folder: Path, name: str, **settings: str) -> Iterator[AppProcess]:
    process = AppProcess(folder, name, settings)
    try:
        yield process
    finally:
        process.kill()


def test_kills_of_each_app_and_of_the_server_lose_no_accepted_order(tmp_path: Path) -> None:
    # RE-20
    folder, [port] = copy_with_short_leases(tmp_path / "shop"), free_ports(1)
    with NatsServer(tmp_path / "nats") as server, ExitStack() as stack:
        apps = [stack.enter_context(running(folder, name, SHOP_NATS=server.url)) for name in ("orders", "billing")]
        stack.enter_context(running(folder, "front", SHOP_NATS=server.url, SHOP_LISTEN=f"127.0.0.1:{port}"))
        clients = [stack.enter_context(closing(SocketClient(port, customer))) for customer in ("ada", "bob")]
        accepted: list[list[int]] = [[] for _ in clients]
        number = 0
        for kill in (apps[0].restart, apps[1].restart, server.restart, lambda: None):
            until = sum(map(len, accepted)) + ORDERS // 4
            while sum(map(len, accepted)) < until:
                number += 1
                if clients[number % 2].order(number):
                    accepted[number % 2].append(number)
                else:
                    sleep(0.05)
            kill()
        for client, own in zip(clients, accepted, strict=True):
            orders = wait_for_all(client, own)
            client.listen(len(orders))
            assert client.heard == orders
            assert len(set(orders)) == len(orders)
    print(f"{number} orders, {sum(map(len, accepted))} of them accepted")


def wait_for_all(client: SocketClient, accepted: list[int]) -> list[int]:
    """Return the orders of a client when each that was accepted is handled."""
    orders: list[int] = []
    for _ in range(1200):
        orders = client.orders()
        if set(accepted) <= set(orders):
            return orders
        sleep(0.1)
    raise AssertionError(f"not handled: {sorted(set(accepted) - set(orders))}")
