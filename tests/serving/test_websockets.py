"""The guard of hypercorn's WebSockets, at one that has no socket."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from hypercorn.config import Config
from hypercorn.protocol import h11
from hypercorn.protocol.events import Data, Request, Response, StreamClosed

from modd.serving.websockets import LAST_WORDS, GuardedWebSocket, guard_websockets
from tests.gateway.wire import frame
from tests.virtual import anyio_backend

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio

ASKED = {
    "host": "shop",
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-extensions": "permessage-deflate",
}
PING, PONG = b"\x89\x00", frame(b"", 10)


class Server:
    """The server around one WebSocket: runs its tasks, and has what it sends, and what the application hears."""

    def __init__(self, **settings: Any) -> None:
        guard_websockets()
        self.sent: list[Any] = []
        self.heard: list[str] = []
        self.reads = anyio.Event()
        """Set while the application reads."""
        self.reads.set()
        self.tasks: TaskGroup | None = None
        config = Config()
        for name, value in ({"is_guarded": True} | settings).items():
            setattr(config, name, value)
        made: Any = h11.WSStream  # type: ignore[attr-defined]
        self.stream = made(None, config, None, self, False, None, None, self.send, 1)

    async def send(self, event: Any) -> None:
        self.sent.append(event)
        if isinstance(event, StreamClosed):
            await self.stream.handle(event)

    async def spawn_app(self, *args: Any) -> Any:
        return self._hear

    async def _hear(self, message: Any) -> None:
        await self.reads.wait()
        self.heard.append(message["type"])

    def spawn(self, function: Any, *args: Any) -> None:
        assert self.tasks is not None
        self.tasks.start_soon(function, *args)

    async def open(self, tasks: TaskGroup) -> None:
        self.tasks = tasks
        headers = [(name.encode(), value.encode()) for name, value in ASKED.items()]
        await self.stream.handle(Request(1, headers, "1.1", "GET", b"/ws", {}))  # type: ignore[arg-type]
        await self.stream.app_send({"type": "websocket.accept"})

    async def receive(self, data: bytes) -> None:
        await self.stream.handle(Data(1, data))

    @property
    def data(self) -> list[bytes]:
        """Return the bytes that were sent, since the upgrade."""
        return [event.data for event in self.sent if isinstance(event, Data)]


@pytest.mark.parametrize("guards", [True, False])
async def test_only_the_servers_of_modd_have_guarded_websockets_without_compression(guards: bool) -> None:
    # GW-51
    server = Server(is_guarded=guards)
    async with anyio.create_task_group() as tasks:
        await server.open(tasks)
        assert isinstance(server.stream, GuardedWebSocket) == guards
        [response] = [event for event in server.sent if isinstance(event, Response)]
        assert (b"sec-websocket-extensions" in dict(response.headers)) == (not guards)


async def test_a_client_is_told_of_its_too_large_message_and_cut_off_5_seconds_later() -> None:
    # GW-51
    server = Server(websocket_max_message_size=10)
    async with anyio.create_task_group() as tasks:
        await server.open(tasks)
        await server.receive(frame(b"x" * 11))
        await server.receive(frame(b"x"))
        assert server.data == [b"\x88\x02\x03\xf1"]
        await anyio.sleep(LAST_WORDS - 0.1)
        assert not server.stream.closed
        await anyio.sleep(0.2)
        assert server.stream.closed
        assert server.heard == ["websocket.connect", "websocket.disconnect"]


async def test_a_client_that_ends_the_connection_is_not_cut_off_later() -> None:
    # GW-51
    server = Server(websocket_max_message_size=10)
    async with anyio.create_task_group() as tasks:
        await server.open(tasks)
        await server.receive(frame(b"x" * 11))
        await server.stream.handle(StreamClosed(1))
        await anyio.sleep(LAST_WORDS + 1)
        assert not any(isinstance(event, StreamClosed) for event in server.sent)


async def test_a_client_is_pinged_and_ends_when_it_says_nothing_until_the_next_ping() -> None:
    # GW-34
    start = anyio.current_time()
    server = Server(websocket_ping_interval=20)
    async with anyio.create_task_group() as tasks:
        await server.open(tasks)
        for _ in range(3):
            await anyio.sleep(21)
            await server.receive(PONG)
        assert server.data == [PING] * 3
    assert server.stream.closed
    assert anyio.current_time() - start == 100
    assert server.data == [PING] * 4
    assert server.heard[-1] == "websocket.disconnect"


async def test_a_client_from_which_nothing_is_read_because_of_its_calls_is_not_cut_off() -> None:
    # GW-34 GW-32
    server = Server(websocket_ping_interval=20)
    async with anyio.create_task_group() as tasks:
        await server.open(tasks)
        server.reads = anyio.Event()
        tasks.start_soon(server.receive, frame(b'{"ping": 1}'))
        await anyio.sleep(90)
        assert not server.stream.closed
        server.reads.set()
    assert server.stream.closed


async def test_pings_end_at_once_with_the_connection() -> None:
    # GW-27 GW-34: a server that stops waits for its connections
    start = anyio.current_time()
    server = Server(websocket_ping_interval=20)
    async with anyio.create_task_group() as tasks:
        await server.open(tasks)
        await server.stream.handle(StreamClosed(1))
    assert anyio.current_time() == start
    await server.stream._send_wsproto_event(None)
    assert server.data == []
