"""The connections of a server, guarded: one that fails ends alone, and one whose client does not read ends."""

from __future__ import annotations

import logging
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import anyio

from modd.serving.guards import guard

CLOSING: Final = 30.0
"""Seconds that a client has to take the rest of what was sent, when its connection is closed."""

http_log = logging.getLogger("modd.http")
http_log.setLevel(logging.WARNING)


def guard_connections(loop: str) -> None:
    """Have hypercorn make guarded connections. loop: the name of the event loop."""
    guards = {"asyncio": AsyncioConnection, "trio": TrioConnection}
    guard(import_module(f"hypercorn.{loop}.run"), "TCPServer", LoneConnection, guards[loop])


class LoneConnection:
    """A connection of hypercorn that ends alone when it fails.

    On trio, hypercorn ends the server with it, and HTTP/2 can fail so.
    """

    async def run(self) -> None:
        """Serve the client."""
        try:
            await super().run()  # type: ignore[misc]  # hypercorn's
        except Exception as error:
            http_log.warning("a connection failed: %s", type(error).__name__)


class AsyncioConnection:
    """A connection of hypercorn on asyncio that does not wait for ever for a client that does not read.

    Nothing is written to a client that has gone: asyncio would log a warning for each time.
    """

    protocol: Any
    writer: Any

    async def protocol_send(self, event: Any) -> None:
        """Send bytes, or do as hypercorn does with other events."""
        if hasattr(event, "data") and self.writer.transport.is_closing():
            await self.protocol.handle(import_module("hypercorn.events").Closed())
        else:
            await super().protocol_send(event)  # type: ignore[misc]  # hypercorn's

    async def _close(self) -> None:
        with suppress(OSError), anyio.move_on_after(CLOSING) as scope:
            await super()._close()  # type: ignore[misc]  # hypercorn's
        if scope.cancel_called:  # hypercorn may catch the cancellation
            self.writer.transport.abort()


class TrioConnection:
    """A connection of hypercorn on trio that ends when the application cancels what it sends, or the end of it.

    hypercorn shields what is sent, because a part of it is of no use; so nothing ends a client that does not read. The
    closing of a connection it does not shield, and does not do again.
    """

    protocol: Any
    send_lock: Any
    stream: Any

    async def protocol_send(self, event: Any) -> None:
        """Send bytes, or do as hypercorn does with other events."""
        data = getattr(event, "data", None)
        try:
            if data is None:
                await super().protocol_send(event)  # type: ignore[misc]  # hypercorn's
            else:
                await self._send_data(data)
        except BaseException:
            self.stream.socket.close()
            raise

    async def _send_data(self, data: bytes) -> None:
        try:
            async with self.send_lock:
                await self.stream.send_all(data)
        except Exception:  # the client has gone
            await self.protocol.handle(import_module("hypercorn.events").Closed())
