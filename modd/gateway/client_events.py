"""The events of a client: the channels that it may hear, the event after which it resumes, the end of its time."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Sequence
from time import time
from typing import Any, Final, NamedTuple

import anyio

from modd.concurrency.blocks import async_block
from modd.cqrs import Actor
from modd.gateway.calls import Calls
from modd.gateway.client_stream import ClientStreams
from modd.gateway.errors import Refused
from modd.gateway.hub import Hub
from modd.gateway.limits import Limits
from modd.gateway.rendering import Topic
from modd.gateway.subscription import EventSubscription

log = logging.getLogger("modd.gateway")

MOST_CHANNELS: Final = 32
"""Channels of one client."""

LONGEST_CHANNEL: Final = 200
"""Characters of the name of a channel."""

_EVENT_ID = re.compile(r"([a-z0-9]{8,16})-([0-9]{1,18})")


class EventId(NamedTuple):
    """The id of an event for clients: the epoch of the feed, and the position in it."""

    epoch: str
    position: int


class ClientEvents:
    """The part of a gateway that is shared by the ways in which clients hear events.

    calls: knows which channels a client may hear. limits: the limits. hub: the hub; None without a feed.
    """

    def __init__(self, calls: Calls, limits: Limits, hub: Hub | None) -> None:
        self.hub, self.streams = hub, ClientStreams()
        self._calls, self._limits = calls, limits
        self._is_running, self._streams_stopped = False, anyio.Event()

    @async_block
    async def running(self, stopped: anyio.Event) -> AsyncIterator[None]:
        """Follow the feed for a block, unless it is followed already.

        stopped: once it is set, the streams and the waits for outcomes end.

        Raises: as `Hub.run` does; that cancels the block.
        """
        if self._is_running:
            yield
            return
        self._is_running, errors = True, list[Exception]()  # they are raised as they are, and in no group
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_streams, stopped)
            if self.hub is not None:
                tasks.start_soon(self._follow, self.hub, errors, tasks.cancel_scope)
            try:
                yield
            except Exception as raised:
                errors.append(raised)
            if stopped.is_set():
                await self._streams_stopped.wait()
            tasks.cancel_scope.cancel()
        if errors:
            raise errors[0]

    async def _follow(self, hub: Hub, errors: list[Exception], scope: anyio.CancelScope) -> None:
        try:
            await hub.run()
        except Exception as error:  # raised here, it would be in a group
            errors.append(error)
            scope.cancel()

    async def _stop_streams(self, stopped: anyio.Event) -> None:
        try:
            await stopped.wait()
            if self.hub is not None:
                self.hub.outcomes.end()
            await self.streams.stop()
            self._streams_stopped.set()
        finally:
            self.streams.end_all()
            self._is_running = False

    async def wait_ready(self) -> None:
        """Return when the feed is followed; without a feed, at once."""
        if self.hub is not None:
            await self.hub.wait_ready()

    async def check(self) -> None:
        """Return when a stream may begin: while the gateway starts, once the feed is followed.

        Raises `Refused`, with 503: if that takes longer than a request may, and once the gateway stops.
        """
        self.streams.check()
        if not self._is_running:
            log.error("no client can hear events: the feed is not followed; run gateway.run() in a task of your app")
            raise Refused(503, "The server follows no events.", retry_after=1)
        with anyio.move_on_after(self._limits.timeout) as waiting:
            await self.wait_ready()
        if waiting.cancelled_caught:
            raise Refused(503, "The server starts.", retry_after=1)
        self.streams.check()

    def problem(self) -> str | None:
        """Return the words for the error with which the feed could not be followed last, or None."""
        return None if self.hub is None else self.hub.problem()

    async def topics(self, actor: Actor | None, channels: Sequence[str]) -> list[Topic]:
        """Return the topics of channels that an actor may hear.

        Raises `Refused`: with 400 for names that no channels have, with 401 or 403 if one of them may not be heard.
        """
        check_channels(channels)
        topics: list[Topic] = []
        for channel in dict.fromkeys(channels):
            forwards = await self._calls.forwards_for(actor, channel)
            if not forwards:
                raise Refused(401 if actor is None else 403)
            topics += [Topic(forward, channel) for forward in forwards]
        return topics

    def begin(self, subscription: EventSubscription, topics: Sequence[Topic], after: EventId | int | None) -> None:
        """Subscribe to topics: after an event or a position, or None, for what comes from now on."""
        if after is None:
            subscription.add(topics)
        elif isinstance(after, int):
            subscription.resume(topics, after)
        else:
            is_same = self.hub is not None and after.epoch == self.hub.epoch
            subscription.resume(topics, after.position if is_same else None)

    def current_id(self) -> EventId | None:
        """Return the id after which a client resumes that hears events from now on; None without a feed."""
        return None if self.hub is None else EventId(self.hub.epoch, self.hub.position)

    def lifetime(self, actor: Actor | None) -> float:
        """Return the seconds after which a client has to come again, because its actor is known no longer."""
        left = self._limits.lifetime
        if actor is not None and actor.expires is not None:
            left = min(left, actor.expires - time())
        return max(0.0, left)


def check_channels(channels: Any) -> None:
    """Raise `Refused`, with 400, unless these are the names of 1 to 32 channels."""
    if not 1 <= len(channels) <= MOST_CHANNELS:
        raise Refused(400, f"Name 1 to {MOST_CHANNELS} channels.")
    if not all(1 <= len(channel) <= LONGEST_CHANNEL for channel in channels):
        raise Refused(400, f"The name of a channel has 1 to {LONGEST_CHANNEL} characters.")


def event_id(epoch: str, position: int) -> str:
    """Return the id of an event for clients."""
    return f"{epoch}-{position}"


def read_event_id(text: str) -> EventId:
    """Return the id of an event that a client has sent. Raises `Refused`, with 400."""
    found = _EVENT_ID.fullmatch(text)
    if found is None:
        raise Refused(400, "The id of an event is EPOCH-POSITION, as it was sent.")
    return EventId(found[1], int(found[2]))
