"""Messages of a subject, for ``async for``."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, Self

import anyio
from anyio.lowlevel import checkpoint

from modd.concurrency.loop_thread import Crossing
from modd.errors import NotEntered
from modd.nats.errors import SlowConsumer
from modd.nats.message import NatsMessage

MOST_MESSAGES = 65_536
"""The messages that may wait in a subscription."""


MOST_BYTES = 64 * 2**20
"""The bytes that may wait in a subscription."""


CHECKPOINT_INTERVAL = 64
"""The messages that are returned in a row before other tasks get a turn."""


class Route(NamedTuple):
    """A subscription of the link, as it is made at each server that the link connects to.

    resume: False if it ends with the connection that it was made over.
    """

    subject: str
    queue: str
    resume: bool


class Inlet:
    """The messages on their way from the connection to one subscription; it fills in one loop and empties in another.

    home: calls functions in the loop of the subscriber. subject: the subject. on_overflow: called in the loop of the
    connection when too many messages wait. most: most messages that wait; by default `MOST_MESSAGES`.
    """

    def __init__(
        self, home: Crossing, subject: str, on_overflow: Callable[[], object], most: int | None = None
    ) -> None:
        self._most = most
        self.subject, self._home, self._on_overflow = subject, home, on_overflow
        self._messages: deque[NatsMessage] = deque()
        self._error: Exception | None = None
        self._received = self._taken = 0
        """Bytes, each counted in one of the two loops only."""
        self._event: anyio.Event | None = None
        """Set when there is something to take; only in the loop of the subscriber."""
        self._signalled = self._is_complete = False

    def put(self, message: NatsMessage) -> None:
        """Add a message, in the loop of the connection."""
        if self._error is not None:
            return
        self._messages.append(message)
        self._received += size_of(message)
        waiting, size = len(self._messages), self._received - self._taken
        if waiting > (self._most or MOST_MESSAGES) or size > MOST_BYTES:
            self.end(SlowConsumer(self.subject, waiting, size))
            self._on_overflow()
        self._signal()

    def end(self, error: Exception) -> None:
        """Have the subscriber's next step raise an error, in the loop of the connection."""
        self._error = self._error or error
        self._signal()

    def complete(self) -> None:
        """Have the subscription end when its messages are taken, in the loop of the subscriber."""
        self._is_complete = True
        self._wake()

    async def take(self) -> NatsMessage:
        """Wait for the next message, in the loop of the subscriber. Raises ``StopAsyncIteration`` at the end."""
        while self._error is None:
            if self._messages:
                message = self._messages.popleft()
                self._taken += size_of(message)
                return message
            if self._is_complete:
                raise StopAsyncIteration
            if self._event is None:
                self._event = anyio.Event()
            await self._event.wait()
        self._messages.clear()
        raise self._error

    def _signal(self) -> None:
        if not self._signalled:
            self._signalled = True
            self._home.call(self._wake)

    def _wake(self) -> None:
        self._signalled = False  # first: a message that is put after this line signals again
        event, self._event = self._event, None
        if event is not None:
            event.set()


def size_of(message: NatsMessage) -> int:
    """Return about as many bytes as a message has."""
    return len(message.body) + sum(map(len, message.headers.values()))


class NatsSubscription:
    """The messages of a subject, as `Link.subscribe` returns it: ``async with ... as messages``, ``async for``."""

    def __init__(
        self,
        inlet: Inlet,
        begin: Callable[[], Awaitable[object]],
        drain: Callable[[], Awaitable[object]],
        finish: Callable[[], object],
    ) -> None:
        self._inlet, self._begin, self._drain, self._finish = inlet, begin, drain, finish
        self._is_open = False
        self._count = 0

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            self._finish()
            raise
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_open:
            raise NotEntered("the subscription")
        self._is_open = False
        self._finish()

    async def drain(self) -> None:
        """Have no further messages sent here; the loop ends after those that have come. Raises as `Link.flush` does.

        The loop ends after an error, too: messages that were on their way then are lost.
        """
        try:
            await self._drain()
        finally:
            self._inlet.complete()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> NatsMessage:
        if not self._is_open:
            raise NotEntered("the subscription")
        self._count += 1
        if self._count % CHECKPOINT_INTERVAL == 0:
            await checkpoint()
        return await self._inlet.take()
