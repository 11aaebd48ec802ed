"""Raw bytes to a gateway that listens, for the tests of attacks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketStream

from modd.gateway import Gateway


@asynccontextmanager
async def listening_at(gateway: Gateway) -> AsyncIterator[int]:
    """Run a gateway beside the block, with its port for it; stop it in the end."""
    with anyio.fail_after(60):
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
