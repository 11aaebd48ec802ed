"""Raw bytes to a gateway that listens, for the tests of attacks."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketStream

from modd.gateway import Gateway


@asynccontextmanager
async def listening_at(gateway: Gateway, limit: float = 60) -> AsyncIterator[int]:
    """Run a gateway beside the block, with its port for it; stop it in the end. limit: seconds, against hanging."""
    with anyio.fail_after(limit):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            await gateway.wait_ready()
            yield gateway.bound_port or 0
            gateway.stop()


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """Return a request of Ada's; the connection ends with its response."""
    head = [f"{line} HTTP/1.1", "Host: shop.example", "Connection: close", *headers]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def upgrade(*headers: str) -> bytes:
    """Return Ada's request for a WebSocket."""
    of_websocket = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    protocol = "Sec-WebSocket-Protocol: modd.v1"
    asked = request("GET /ws", *of_websocket, protocol, "Authorization: Bearer a", *headers)
    return asked.replace(b"Connection: close", b"Connection: Upgrade")


@asynccontextmanager
async def open_websocket(port: int, *headers: str) -> AsyncIterator[SocketStream]:
    """Open a WebSocket of Ada's for the block."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(upgrade(*headers))
        assert status_of(await read_until(stream, b"\r\n\r\n")) == 101
        yield stream


def frame(
    payload: bytes, opcode: int = 1, *, ends: bool = True, masked: bool = True, length: int | None = None
) -> bytes:
    """Return a frame of a WebSocket; one that is masked is so by zeros.

    opcode: its kind, with the reserved bits. ends: True for the last one of its message. length: the length that it
    says, by default the true one.
    """
    size = len(payload) if length is None else length
    mask = 0x80 if masked else 0
    first = (0x80 if ends else 0) | opcode
    if size < 126:
        head = bytes([first, mask | size])
    else:
        head = bytes([first, mask | (126 if size < 65_536 else 127)]) + struct.pack(
            "!H" if size < 65_536 else "!Q", size
        )
    return head + (bytes(4) if masked else b"") + payload


async def read_until(stream: SocketStream, end: bytes) -> bytes:
    """Return what comes, as soon as these bytes are in it."""
    received = bytearray()
    while end not in received:
        received += await stream.receive()
    return bytes(received)


async def read_all(stream: SocketStream) -> bytes:
    """Return all that comes until the other side closes the connection."""
    received = bytearray()
    try:
        while True:
            received += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return bytes(received)


async def exchange(port: int, *parts: bytes) -> bytes:
    """Return the response to raw bytes."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        for part in parts:
            try:
                await stream.send(part)
            except anyio.BrokenResourceError:  # it does not read any more
                break
        return await read_all(stream)


def status_of(response: bytes) -> int:
    """Return the status of a response."""
    return int(response.split(b" ", 2)[1])


def body_of(response: bytes) -> bytes:
    """Return the body of a response."""
    return response.partition(b"\r\n\r\n")[2]
