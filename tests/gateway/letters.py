"""A gateway whose events are large, and clients with small buffers, for tests of clients that do not read."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from modd.cqrs import Codec, CommandBus, Envelope, Event
from modd.gateway import EVERYBODY, Gateway, forward
from modd.gateway import gateway as gateway_module
from modd.ports import Feed, Item
from modd.serving.server import listen_at
from tests.gateway.wire import frame, read_until, request, upgrade

SMALL = 16_384
"""Bytes of the buffers of sockets; the system takes some more."""


class Letter(Event):
    number: int
    text: str = ""


CODEC = Codec([Letter])
LETTERS = forward(Letter, to=lambda letter: "letters", allow=EVERYBODY)


def letters(numbers: Iterable[int], size: int = 0) -> list[Item]:
    """Return items of letters with these numbers and so many characters."""
    return [Item(CODEC.encode(Envelope(Letter(number, "x" * size)))) for number in numbers]


def gateway_of_letters(feed: Feed, **options: Any) -> Gateway:
    return Gateway(CommandBus([]), LETTERS, feed=feed, listen="127.0.0.1:0", **options)


def shrink_send_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have gateways listen at sockets whose connections have small buffers."""

    def listen(*args: Any) -> socket.socket:
        listener = listen_at(*args)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        return listener

    monkeypatch.setattr(gateway_module, "listen_at", listen)


async def connect(port: int) -> SocketStream:
    """Return a connection with a small buffer; what is sent fills it soon."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    raw.connect(("127.0.0.1", port))
    return await anyio.abc.SocketStream.from_socket(raw)


async def listen_to_letters(stream: SocketStream, after: str | None = None) -> bytes:
    """Ask for the letters by Server-Sent Events; return what comes first. after: the id of the last one."""
    headers = [] if after is None else [f"Last-Event-ID: {after}"]
    await stream.send(request("GET /events?channel=letters", *headers))
    return await read_until(stream, b": ok\n\n")


async def subscribe_to_letters(stream: SocketStream, after: int | None = None) -> bytes:
    """Ask for the letters by a WebSocket; return what comes first. after: the position of the last one."""
    await stream.send(upgrade())
    await read_until(stream, b"\r\n\r\n")
    position = "" if after is None else f', "after": {after}'
    await stream.send(frame(f'{{"subscribe": ["letters"]{position}}}'.encode()) + frame(b'{"ping": 1}'))
    return await read_until(stream, b'{"pong":1}')


def numbers_in(received: bytes | bytearray) -> list[int]:
    """Return the numbers of the letters in what was received; the last one may be incomplete."""
    return [int(number) for number in re.findall(rb'"number":([0-9]+),"text":"x*"\}', received)]


async def read_letters(stream: SocketStream, last: int, begun: bytes = b"") -> list[int]:
    """Return the numbers of the letters that come, up to the last one. begun: what has come before."""
    received = bytearray(begun)
    while (numbers := numbers_in(received))[-1:] != [last]:
        received += await stream.receive()
    return numbers
