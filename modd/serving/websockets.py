"""The WebSockets of a server, guarded: hypercorn answers frames, and this ends the connections that abuse it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import anyio

from modd.serving.guards import guard

LAST_WORDS: Final = 5.0
"""Seconds that a client has to read why its connection ends, before it is cut off."""


def guard_websockets() -> None:
    """Have hypercorn make guarded WebSockets."""
    guard(import_module("hypercorn.protocol.h11"), "WSStream", GuardedWebSocket)


class GuardedWebSocket:
    """A WebSocket of hypercorn that stores no more than the longest message, is not compressed, and awaits pongs.

    hypercorn stores all of a message that never ends, unpacks a frame before it looks at its size, and does not look
    at pongs.
    """

    buffer: Any
    closed: bool
    config: Any
    handshake: Any
    send: Any
    stream_id: int
    task_group: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._ended = anyio.Event()
        self._is_too_large = self._is_reading = False
        self._heard_at = 0.0

    async def handle(self, event: Any) -> None:
        """Take bytes of the client, or its end; bytes after a message that is too large are dropped."""
        if self._is_too_large and hasattr(event, "data"):
            return
        self._is_reading = True
        await super().handle(event)  # type: ignore[misc]  # hypercorn's
        self._is_reading, self._heard_at = False, anyio.current_time()
        if self.closed:
            self._ended.set()
        elif self.buffer.length > self.buffer.max_length:
            self._is_too_large = True
            self.task_group.spawn(self._cut_off, LAST_WORDS)

    async def _accept(self, message: Any) -> None:
        self.handshake.extensions = None  # there are none but those of compression
        await super()._accept(message)  # type: ignore[misc]  # hypercorn's

    async def _send_wsproto_event(self, event: Any) -> None:
        if not self.closed:  # asyncio logs each write to a connection that is lost
            await super()._send_wsproto_event(event)  # type: ignore[misc]  # hypercorn's

    async def _send_pings(self) -> None:
        """Ping the client until its end; cut it off if nothing comes from it before the next ping.

        A client from which nothing is read at the moment, because of its calls in flight, is not cut off.
        """
        pinged_at = self._heard_at
        while not self.closed:
            with anyio.move_on_after(self.config.websocket_ping_interval):
                await self._ended.wait()
            if self._heard_at < pinged_at and not self._is_reading:
                await self._cut_off(0)
            pinged_at = anyio.current_time()
            await self._send_wsproto_event(import_module("wsproto.events").Ping())

    async def _cut_off(self, seconds: float) -> None:
        """End the connection after these seconds, unless the client does so before."""
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        if not self.closed:
            await self.send(import_module("hypercorn.protocol.events").StreamClosed(stream_id=self.stream_id))
