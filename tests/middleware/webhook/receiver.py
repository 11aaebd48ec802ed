"""A receiver of webhooks over real HTTP, on a port that the system chooses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

Step = int | bytes | Callable[["Request"], Awaitable[bytes]]
"""An answer: a status, a whole response, or what makes one."""


class Request(msgspec.Struct):
    """What has come in."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Receiver:
    """Answers each request by the next step, the last step over and over."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = [*steps] or [200]
        self.requests: list[Request] = []
        self.connections = 0
        self.asked = anyio.Event()
        """Set when a request has come in."""
        self.closed = anyio.Event()
        """Set when a connection was closed by the sender."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        number = self.connections
        async with stream:
            reader = BufferedByteReceiveStream(stream)
            try:
                while True:
                    request = await read(reader, number)
                    self.requests.append(request)
                    self.asked.set()
                    step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
                    answers: list[bytes] = []
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(self.watch, stream, tasks.cancel_scope)
                        answers.append(await respond(step, request))
                        tasks.cancel_scope.cancel()
                    if not answers:
                        return  # nobody waits for it any more
                    await stream.send(answers.pop())
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                self.closed.set()

    async def watch(self, stream: SocketStream, scope: anyio.CancelScope) -> None:
        """Nothing is to come while an answer is made, but the end."""
        try:
            await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            self.closed.set()
            scope.cancel()


async def read(reader: BufferedByteReceiveStream, connection: int) -> Request:
    head = (await reader.receive_until(b"\r\n\r\n", 65536)).decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
    body = await reader.receive_exactly(int(headers.get("content-length", "0")))
    return Request(head[0], headers, body, connection)


async def respond(step: Step, request: Request) -> bytes:
    if callable(step):
        return await step(request)
    return step if isinstance(step, bytes) else response(step)


def response(status: int, text: str = "", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(text.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", text]).encode()


async def never(request: Request) -> bytes:
    """Does not answer."""
    await anyio.Event().wait()
    return b""  # not reached


@asynccontextmanager
async def receiving(*steps: Step) -> AsyncIterator[Receiver]:
    """A receiver that is there for as long as the block lasts."""
    receiver = Receiver(steps)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        receiver.port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(partial(listener.serve, receiver.serve))
        yield receiver
        tasks.cancel_scope.cancel()
