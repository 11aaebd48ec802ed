"""Many clients of Server-Sent Events in one process, which read little else than the time of each event."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from selectors import EVENT_READ, DefaultSelector
from socket import create_connection, socket
from time import monotonic, time

from bench.cases import expect

PATIENCE = 60.0
"""Seconds after which clients that do not have all events give up."""
BATCH = 50
"""Clients that connect at a time, fewer than a server lets wait."""

_TICK = re.compile(rb'data: \{"number":(\d+),"at":([0-9.]+)\}\n\n')


class Listener:
    """A client that is connected.

    connection: its socket. delays: gets the seconds from the put of each event to its arrival.
    """

    def __init__(self, connection: socket, delays: list[float]) -> None:
        self.connection, self._delays = connection, delays
        self._rest = b""
        self.received = 0
        """Events that have arrived."""

    def read(self) -> None:
        """Read what has come. Raises an error if an event is missing or comes twice."""
        text, now = self._rest + self.connection.recv(65_536), time()
        end = 0
        for found in _TICK.finditer(text):
            self.received += 1
            expect(int(found[1]), self.received)
            self._delays.append(now - float(found[2]))
            end = found.end()
        self._rest = text[end:]

    @property
    def has_begun(self) -> bool:
        """True once the stream has begun."""
        return b": ok\n\n" in self._rest


class Listeners:
    """Clients of one stream.

    port, path: the place of the stream. clients: the number of clients.
    """

    def __init__(self, port: int, path: str, clients: int) -> None:
        self._selector, self._listeners = DefaultSelector(), list[Listener]()
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
        self._port, self._clients = port, clients
        self.delays: list[float] = []
        """Seconds of each event and client, from the put to the arrival."""

    def open(self) -> None:
        """Connect all clients, and wait until each stream has begun."""
        while len(self._listeners) < self._clients:
            batch = [self._connect() for _ in range(min(BATCH, self._clients - len(self._listeners)))]
            self._read(batch, lambda listener: listener.has_begun)
            self._listeners += batch

    def read(self, events: int) -> None:
        """Read until each client has a number of events."""
        self._read(self._listeners, lambda listener: listener.received >= events)

    def close(self) -> None:
        """Close all connections."""
        for listener in self._listeners:
            listener.connection.close()
        self._selector.close()

    def _connect(self) -> Listener:
        connection = create_connection(("127.0.0.1", self._port))
        connection.sendall(self._request)
        listener = Listener(connection, self.delays)
        self._selector.register(connection, EVENT_READ, listener)
        return listener

    def _read(self, listeners: Iterable[Listener], is_done: Callable[[Listener], bool]) -> None:
        """Read until all of these clients are done."""
        waiting, end = {*listeners}, monotonic() + PATIENCE
        while waiting:
            for key, _ in self._selector.select(max(0.0, end - monotonic())):
                key.data.read()
                if is_done(key.data):
                    waiting.discard(key.data)
            if monotonic() >= end:
                raise RuntimeError(f"{len(waiting)} clients wait for events that do not come")


def main(port: int, path: str, clients: int, events: int) -> None:
    """Have a number of clients hear a number of events.

    The first line that is written says that all streams have begun, the second one is the sorted delays of all events.
    """
    with closing(Listeners(port, path, clients)) as listeners:
        listeners.open()
        print("true", flush=True)
        listeners.read(events)
        print(json.dumps(sorted(listeners.delays)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
