"""Connections that stay open: each ends by itself, at the end of its time, or when the gateway stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from enum import IntEnum
from random import shuffle
from typing import Any, Final

import anyio

from modd.concurrency.blocks import block
from modd.gateway.errors import Refused
from modd.serving.server import Receive

GRACE: Final = 1.0
"""Seconds that a stream has to end by itself; then it is cancelled, because its client does not read."""

HEARTBEAT: Final = 15.0
"""Seconds after which a stream counts as quiet if nothing was sent."""

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

    reason: the reason for which it has to end; None before that. is_quiet: True if nothing was sent for 15 s.
    """

    def __init__(self) -> None:
        self.reason: EndReason | None = None
        self.is_quiet = False
        self._ended = anyio.Event()
        self._end_listeners: list[Callable[[], object]] = []
        self._quiet_listeners: list[Callable[[], object]] = []
        self._last_send, self._is_sending = anyio.current_time(), False

    def on_end(self, listener: Callable[[], object]) -> None:
        """Have a function called when the stream has to end."""
        self._end_listeners.append(listener)

    def on_quiet(self, listener: Callable[[], object]) -> None:
        """Have a function called each time that nothing was sent for 15 s."""
        self._quiet_listeners.append(listener)

    def end(self, reason: EndReason) -> None:
        """Have the stream end for a reason; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._ended.set()
            for listener in self._end_listeners:
                listener()

    async def send(self, send: Callable[[Any], Awaitable[None]], message: Any) -> None:
        """Send a message; `watch` ends the stream if the client does not take it for long."""
        self._last_send, self._is_sending, self.is_quiet = anyio.current_time(), True, False
        try:
            await send(message)
        finally:
            self._is_sending = False

    async def watch(self, lifetime: float, scope: anyio.CancelScope, grace: float = GRACE) -> None:
        """End the stream after some seconds, or before if its client does not read; cancel a scope if it goes on.

        It sleeps for 15 s at a time, because a timer for each message would cost more than the message.

        lifetime: seconds after which the stream ends. scope: the scope of the stream.
        grace: seconds between the end and the cancellation; a client that does not read has a second at most.
        """
        end = anyio.current_time() + lifetime
        while self.reason is None:
            with anyio.move_on_at(min(end, self._next_look())):
                await self._ended.wait()
            if anyio.current_time() >= end:
                self.end(EndReason.EXPIRED)
        await anyio.sleep(min(GRACE, grace) if self.reason is EndReason.UNREAD else grace)
        scope.cancel()

    def _next_look(self) -> float:
        """Tell of a stream that is quiet, end one that is not read, and return the time of the next look."""
        now, quiet, unread = anyio.current_time(), self._last_send + HEARTBEAT, self._last_send + LONGEST_SEND - GRACE
        if now < quiet:
            return quiet
        if not self._is_sending:
            self.is_quiet = True
            for listener in self._quiet_listeners:
                listener()
            return now + HEARTBEAT
        if now >= unread:
            self.end(EndReason.UNREAD)
        return unread


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
