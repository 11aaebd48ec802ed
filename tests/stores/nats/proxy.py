"""A proxy before a NATS server, which changes what passes, or cuts connections off at a moment that a test chooses."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeAlias

import anyio
from anyio.abc import ByteStream

from modd.concurrency.blocks import async_block

Passing: TypeAlias = Callable[[bytes], bytes | None]
"""Takes bytes on their way and returns those that go on; None to cut the connection off."""


FOUND_RECORD = re.compile(rb'{"type":"io.nats.jetstream.api.v1.stream_msg_get_response".*}')
"""The answer with a record."""


served: ContextVar[object] = ContextVar("served")
"""The connection whose bytes pass."""


class Proxy:
    """The place of a server, with functions for the bytes of both directions."""

    def __init__(self, port: int) -> None:
        self.url = f"nats://127.0.0.1:{port}"
        self.to_server: Passing = lambda data: data
        self.to_client: Passing = lambda data: data

    def lose_answer_of(self, marker: bytes, times: int = 1, then: Passing = lambda data: data) -> None:
        """Cut the connection off after a message with these bytes has reached the server, before its answer comes.

        then: passes what comes to the client afterwards.
        """
        left, lost = [times], set[object]()

        def pass_to_server(data: bytes) -> bytes:
            if left[0] and marker in data:
                left[0] -= 1
                lost.add(served.get())
                self.to_client = cut_off
            return data

        def cut_off(data: bytes) -> bytes | None:
            if served.get() not in lost:  # another connection, as that of a pool which connects anew
                return data
            self.to_client = then
            return None

        self.to_server = pass_to_server


class OtherAnswers:
    """Has the client get another answer in place of each of the next ones that are found with a pattern.

    times: the number of those.
    """

    def __init__(self, pattern: re.Pattern[bytes], answer: bytes, times: int = 0) -> None:
        self._pattern, self._answer, self.times = pattern, answer, times

    def __call__(self, data: bytes) -> bytes:
        """Pass bytes to the client."""
        found = self._pattern.search(data)
        if found is None or not self.times:
            return data
        self.times -= 1
        return data.replace(found.group(), self._answer.ljust(len(found.group())))


async def pump_bytes(source: ByteStream, sink: ByteStream, passing: Passing) -> None:
    """Pass bytes on until an end is closed."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while (data := passing(await source.receive())) is not None:
            if data:
                await sink.send(data)


async def end_after(pump: Coroutine[Any, Any, None], scope: anyio.CancelScope) -> None:
    """End both directions with the first one."""
    await pump
    scope.cancel()


@async_block
async def proxy_to(server: Any) -> AsyncIterator[Proxy]:
    """Run a proxy to the server of the tests."""
    target = server.ports["nats"]

    async def serve(client: ByteStream) -> None:
        served.set(client)
        async with client:
            try:
                upstream = await anyio.connect_tcp("127.0.0.1", target)
            except OSError:  # the server is not there at the moment
                return
            async with upstream, anyio.create_task_group() as pumps:
                for pump in (
                    pump_bytes(client, upstream, lambda data: proxy.to_server(data)),
                    pump_bytes(upstream, client, lambda data: proxy.to_client(data)),
                ):
                    pumps.start_soon(end_after, pump, pumps.cancel_scope)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port: int = listener.extra(anyio.abc.SocketAttribute.local_port)
        proxy = Proxy(port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield proxy
            tasks.cancel_scope.cancel()
