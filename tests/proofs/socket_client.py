"""A client of a gateway over a WebSocket, which connects again when its connection ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage

LIMIT = 120.0
"""Seconds; a guard against hangs."""


class Gone(Exception):
    """The connection has ended."""


class SocketClient:
    """A customer who orders and hears of its orders.

    port: that of the gateway. customer: the name. heard: the quantities of its events, in order.
    """

    def __init__(self, port: int, customer: str) -> None:
        self._port, self._customer = port, customer
        self.heard: list[int] = []
        self._position = self._refs = 0
        self._socket = socket.socket()
        self._open()

    def order(self, number: int) -> bool:
        """Order, and return True if the gateway has accepted it."""
        return self._call("command", "place-order", {"sku": "yoyo", "quantity": number}) is not None

    def orders(self) -> list[int]:
        """Return the quantities of all orders, asked for until the context answers."""
        until = monotonic() + LIMIT
        while monotonic() < until:
            answer = self._call("query", "get-orders", {})
            if answer is not None:
                return [int(each.split()[0]) for each in answer["result"]]
            sleep(0.05)
        raise AssertionError("the context does not answer")

    def listen(self, count: int) -> None:
        """Return when so many events were heard."""
        while len(self.heard) < count:
            try:
                self._note(next(self._frames))
            except Gone:
                self._open()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _call(self, kind: str, name: str, data: dict[str, Any]) -> dict[str, Any] | None:
        self._refs += 1
        try:
            self._send({kind: name, "ref": str(self._refs), "data": {"customer": self._customer, **data}})
            for frame in self._frames:
                if frame.get("ref") == str(self._refs):
                    return None if "problem" in frame else frame
                self._note(frame)
        except Gone:
            self._open()
        return None

    def _note(self, frame: dict[str, Any]) -> None:
        assert frame.get("event") == "order-placed" and frame["position"] > self._position, frame
        self._position = frame["position"]
        self.heard.append(frame["data"]["quantity"])

    def _open(self) -> None:
        until = monotonic() + LIMIT
        while monotonic() < until:
            try:
                return self._connect()
            except (Gone, OSError):
                sleep(0.05)
        raise AssertionError("the gateway does not listen")

    def _connect(self) -> None:
        self._socket.close()
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=LIMIT)
        self._connection = WSConnection(ConnectionType.CLIENT)
        headers = [(b"authorization", f"Bearer {self._customer}-token".encode())]
        request = Request(host="127.0.0.1", target="/ws", subprotocols=["modd.v1"], extra_headers=headers)
        self._socket.sendall(self._connection.send(request))
        self._frames = self._receive()
        assert next(self._frames) == {"accepted": True}
        self._send({"subscribe": [f"orders/{self._customer}"], "after": self._position})

    def _send(self, frame: dict[str, Any]) -> None:
        try:
            self._socket.sendall(self._connection.send(TextMessage(json.dumps(frame))))
        except OSError as error:
            raise Gone from error

    def _receive(self) -> Iterator[dict[str, Any]]:
        text = ""
        while True:
            for event in self._connection.events():
                if isinstance(event, AcceptConnection):
                    yield {"accepted": True}
                elif isinstance(event, TextMessage):
                    text += event.data
                    if event.message_finished:
                        yield json.loads(text)
                        text = ""
                elif isinstance(event, (CloseConnection, RejectConnection)):
                    raise Gone
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            self._connection.receive_data(data)
