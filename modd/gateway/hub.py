"""The hub: follows a feed once for all clients of a gateway.

A client that comes again reads the feed by itself until it is at the position of the hub (`modd.gateway.subscription`).
From then on the hub puts the items into its backlog. Both happen without an await in between, so no item is missed or
delivered twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from modd.concurrency.backoff import DoublingPause
from modd.concurrency.blocks import block
from modd.concurrency.cancellation import error_of
from modd.cqrs import Codec
from modd.errors import ModdError
from modd.gateway.client_stream import ClientStream, EndReason
from modd.gateway.errors import Refused
from modd.gateway.exposures import Forward
from modd.gateway.limits import Limits
from modd.gateway.outcomes import OutcomeWaits
from modd.gateway.rendering import HubItem, Rendering, Topic
from modd.gateway.subscription import Backlog, EventSubscription, Reset
from modd.ports.errors import FeedGap, raise_misuse
from modd.ports.feed import Feed, Posted
from modd.texts import text_of

BREATH: Final = 0.005
"""Seconds that the hub waits at once for clients that have much to read."""

BREATHS: Final = 5
"""Waits for such clients at most, for each quarter of a backlog: a slow client delays the rest no longer."""

log = logging.getLogger("modd.gateway")


class Hub:
    """Follows a feed, and delivers its items to the clients that have subscribed to their channels.

    Each item is decoded once, is given its channels once, and is made JSON once. Outcomes of queued commands go to the
    clients that wait for them.

    feed: the feed. forwards: the types that clients hear. codec: decodes the items. limits: the limits.
    """

    def __init__(self, feed: Feed, forwards: Sequence[Forward], codec: Codec, limits: Limits) -> None:
        self.feed, self._buffer = feed, limits.buffer
        self._rendering = Rendering(codec, forwards)
        self.has_events = bool(forwards)
        """False for a feed that is followed for outcomes alone."""
        self.outcomes = OutcomeWaits(feed, lambda: self._ready.is_set() and self._problem is None)
        self._members: dict[Topic, dict[Backlog, int]] = {}
        """By topic, the backlogs that get its items, each with the position after which it does."""
        self._backlogs: dict[Backlog, None] = {}
        self._ready = anyio.Event()
        self._problem: str | None = None
        self._told = ""
        self._delivered = 0
        self.epoch, self.position = "", 0

    async def wait_ready(self) -> None:
        """Return when the hub follows the feed."""
        await self._ready.wait()

    def problem(self) -> str | None:
        """Return the words for the error with which the feed could not be followed last, or None."""
        return self._problem

    async def run(self) -> None:
        """Follow the feed until cancelled; after an error, try again after a pause.

        Raises: the error of a store that is used in a wrong way, such as one that is closed.
        """
        pause = DoublingPause()
        while True:
            error = await error_of(self._follow, pause)
            self.outcomes.end()
            if isinstance(error, FeedGap):
                self._reset(error.first, error.last)
            else:
                self._problem = f"the feed cannot be followed: {type(error).__name__}"
                raise_misuse(error)
                self._tell(error)
                await anyio.sleep(pause.next())

    def _tell(self, error: Exception | None) -> None:
        """Log that the feed cannot be followed, once for each reason in a row; None: that it is followed again."""
        told, self._told = self._told, "" if error is None else text_of(error)
        if error is None:
            if told:
                log.info("the feed of the gateway is followed again")
        elif self._told != told:
            trace = None if isinstance(error, ModdError) else error  # the texts of modd have the cure
            log.error("the feed of the gateway cannot be followed: %s; trying again", self._told, exc_info=trace)

    async def _follow(self, pause: DoublingPause) -> None:
        await self._begin()
        self._problem = None
        self._tell(None)
        async for posted in self.feed.follow(self.position):
            pause.reset()
            self.position = posted.position
            self.outcomes.deliver(posted)
            self._deliver(self.render(posted))
            await self._let_clients_read()

    async def _begin(self) -> None:
        """Begin at the end of the feed, or go on where the hub was, if the feed has that position."""
        epoch, (first, last) = await self.feed.epoch(), await self.feed.span()
        if not self._ready.is_set():
            self.epoch, self.position = epoch, last
            self._ready.set()
        elif epoch != self.epoch:
            self.epoch = epoch
            self._rendering.clear()
            self._reset(first, last)

    def render(self, posted: Posted) -> tuple[HubItem, ...]:
        """Return an item of the feed for each of its channels, made once."""
        return self._rendering.render(posted, self.epoch)

    @block
    def subscribe(self, stream: ClientStream) -> Iterator[EventSubscription]:
        """Open a subscription of a client for a block; a client that does not read has its stream ended.

        Raises `Refused`, with 503, before the hub follows the feed.
        """
        if not self._ready.is_set():
            raise Refused(503, "The server starts.", retry_after=1)
        backlog = Backlog(self._buffer, lambda: stream.end(EndReason.UNREAD))
        stream.on_end(backlog.close)
        subscription = EventSubscription(self, backlog)
        self._backlogs[backlog] = None
        try:
            yield subscription
        finally:
            del self._backlogs[backlog]
            self.leave(backlog, subscription.topics)

    def join(self, backlog: Backlog, topics: Iterable[Topic], after: int) -> None:
        """Put further items of topics into a backlog, as far as they are after a position."""
        for topic in topics:
            self._members.setdefault(topic, {})[backlog] = after

    def leave(self, backlog: Backlog, topics: Iterable[Topic]) -> None:
        """Put no further items of topics into a backlog."""
        for topic in topics:
            members = self._members.get(topic, {})
            members.pop(backlog, None)
            if not members:
                self._members.pop(topic, None)

    def _deliver(self, items: Iterable[HubItem]) -> None:
        """Put an item into the backlogs of its topics, once into each."""
        reached: set[Backlog] = set()
        for item in items:
            for backlog, after in self._members.get(item.topic, {}).items():
                if item.position > after and backlog not in reached:
                    reached.add(backlog)
                    backlog.put(item)

    def _reset(self, first: int, last: int) -> None:
        """Go on after the last position, and tell all clients that items are missing."""
        self.position = last
        for backlog in {backlog: None for members in self._members.values() for backlog in members}:
            backlog.put(Reset(first, last, self.epoch))

    async def _let_clients_read(self) -> None:
        """Let other tasks run; after a quarter of a backlog, wait a little for clients that have much to read."""
        await checkpoint()
        self._delivered += 1
        if self._delivered % max(1, self._buffer // 4) == 0:
            for _ in range(BREATHS):
                if not any(backlog.is_crowded for backlog in self._backlogs):
                    return
                await anyio.sleep(BREATH)
