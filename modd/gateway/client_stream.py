"""Connections that stay open: each ends by itself, at the end of its time, or when the gateway stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from enum import IntEnum
from random import shuffle
from typing import Any, Final

import anyio

from modd.concurrency.blocks import block
from modd.gateway.errors import Refused
from modd.serving import Receive

GRACE: Final = 1.0
"""Seconds that a stream has to end by itself; then it is cancelled, because its client does not read."""

LONGEST_SEND: Final = 30.0
"""Seconds after which a client that takes nothing of what is sent counts as one that does not read."""

SPREAD: Final = 2.0
"""Seconds over which the streams end when the gateway stops, so that the clients do not come again all at once."""


class EndReason(IntEnum):
    """Reasons for which the gateway ends a stream; each is the close code of a WebSocket."""

    TOO_LARGE = 1009
    STOPPED = 1012
    MISUSED = 4400
    EXPIRED = 4401
    UNREAD = 4408


class ClientStream:
    """A connection of a client that stays open, until it is told to end.

    reason: the reason for which it has to end; None before that.
    """

    def __init__(self) -> None:
        self.reason: EndReason | None = None
        self._ended = anyio.Event()
        self._listeners: list[Callable[[], object]] = []

    def on_end(self, listener: Callable[[], object]) -> None:
        """Have a function called when the stream has to end."""
        self._listeners.append(listener)

    def end(self, reason: EndReason) -> None:
        """Have the stream end for a reason; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._ended.set()
            for listener in self._listeners:
                listener()

    async def send(self, send: Callable[[Any], Awaitable[None]], message: Any) -> None:
        """Send a message; if the client does not take it for long, end the stream."""
        with anyio.move_on_after(LONGEST_SEND) as scope:
            await send(message)
        if scope.cancelled_caught:
            self.end(EndReason.UNREAD)

    async def limit(self, lifetime: float, scope: anyio.CancelScope, grace: float = GRACE) -> None:
        """End the stream after some seconds; cancel a scope if it does not follow.

        grace: seconds between both; a client that does not read has a second at most.
        """
        with anyio.move_on_after(lifetime):
            await self._ended.wait()
        self.end(EndReason.EXPIRED)
        await anyio.sleep(min(GRACE, grace) if self.reason is EndReason.UNREAD else grace)
        scope.cancel()


class ClientStreams:
    """The streams that are open, for the end of the gateway."""

    def __init__(self) -> None:
        self._streams: dict[ClientStream, None] = {}
        self._stopping = False

    def __len__(self) -> int:
        return len(self._streams)

    def check(self) -> None:
        """Raise `Refused`, with 503, if no new stream may begin."""
        if self._stopping:
            raise Refused(503, "The server stops.", retry_after=1)

    @block
    def open(self) -> Iterator[ClientStream]:
        """Open a stream for a block. Raises `Refused`, with 503, once the gateway stops."""
        self.check()
        stream = ClientStream()
        self._streams[stream] = None
        try:
            yield stream
        finally:
            del self._streams[stream]

    async def stop(self) -> None:
        """Open no stream any more, and tell the open ones to end, one after the other in a random order."""
        self._stopping = True
        streams = [*self._streams]
        shuffle(streams)
        for index, stream in enumerate(streams):
            if index:
                await anyio.sleep(SPREAD / len(streams))
            stream.end(EndReason.STOPPED)

    def end_all(self) -> None:
        """Open no stream any more, and tell all open ones to end at once."""
        self._stopping = True
        for stream in self._streams:
            stream.end(EndReason.STOPPED)


async def cancel_at_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel a scope when the client of a request has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
