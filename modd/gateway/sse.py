"""Server-Sent Events: ``GET /events?channel=...``, a response that goes on for as long as the client listens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import suppress
from random import randint
from typing import Any, Final, TypeAlias

import anyio
import msgspec
from starlette.responses import Response

from modd.cqrs import Actor
from modd.gateway.client_events import ClientEvents, EventId, read_event_id
from modd.gateway.client_stream import ClientStream, EndReason, cancel_at_disconnect
from modd.gateway.hub import Hub
from modd.gateway.rendering import HubItem, Topic
from modd.gateway.request import Request
from modd.gateway.subscription import Delivery, EventSubscription

HEARTBEAT: Final = 15.0
"""Seconds without an event after which a comment is sent, so that proxies keep the connection."""

RETRY: Final = (1_000, 3_000)
"""Milliseconds, at least and at most, after which a client comes again, so that not all do at once."""

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def event_stream(request: Request, actor: Actor | None, events: ClientEvents) -> Response:
    """Return the stream of events for a request.

    Raises `Refused`: with 400 for parameters that make no sense, 401 or 403 for a channel that the actor may not hear,
    503 while the gateway starts or stops, 404 without a feed.
    """
    after = resume_id(request)
    topics = await events.topics(actor, request.query.getlist("channel"))
    events.streams.check()
    return EventStream(events, topics, after, events.lifetime(actor))


def resume_id(request: Request) -> EventId | None:
    """Return the id of the last event that a client knows; None for a new client. Raises `Refused`, with 400."""
    text = request.headers.get("last-event-id", request.query.get("after"))
    return None if text is None else read_event_id(text)


class EventStream(Response):
    """The response with the events of one client.

    events: the hub and the streams. topics: the topics that the client hears. after: the last event that it knows.
    lifetime: seconds after which the response ends.
    """

    media_type = "text/event-stream"

    def __init__(self, events: ClientEvents, topics: Sequence[Topic], after: EventId | None, lifetime: float) -> None:
        self.status_code, self.background = 200, None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events, self._topics, self._after, self._lifetime = events, topics, after, lifetime

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Send events until the client goes away, or the stream has to end."""
        hub = self._events.hub
        assert hub is not None  # topics are of forwards, and these need a feed
        with self._events.streams.open() as stream, hub.subscribe(stream) as subscription:
            self._events.begin(subscription, self._topics, self._after)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_at_disconnect, receive, tasks.cancel_scope)
                tasks.start_soon(stream.limit, self._lifetime, tasks.cancel_scope)
                with suppress(OSError):  # some servers raise it when the client has gone
                    await _Feeding(hub, stream, subscription, send).run(self._after)
                tasks.cancel_scope.cancel()


class _Feeding:
    """Sends what a subscription receives as the body of a response."""

    def __init__(self, hub: Hub, stream: ClientStream, subscription: EventSubscription, send: Send) -> None:
        self._hub, self._stream, self._subscription, self._send = hub, stream, subscription, send

    async def run(self, after: EventId | None) -> None:
        """Send the beginning, events and comments until the stream has to end, then the end of the body."""
        id = b"" if after is not None else self._current_id()
        await self._send_body(b"retry: %d\n%b: ok\n\n" % (randint(*RETRY), id))
        while self._stream.reason is None:
            deliveries: list[Delivery] | None = None
            with anyio.move_on_after(HEARTBEAT):
                deliveries = await self._subscription.receive()
            if deliveries is None:
                await self._send_body(self._current_id() + b":\n\n")
            elif deliveries:
                await self._send_body(event_texts(deliveries))
        if self._stream.reason is not EndReason.UNREAD:
            await self._send({"type": "http.response.body", "body": b""})

    def _current_id(self) -> bytes:
        """Return the line with the id after which the client is to resume if it goes away before the next event."""
        position = self._subscription.position
        return b"" if position is None else b"id: %b-%d\n" % (self._hub.epoch.encode(), position)

    async def _send_body(self, text: bytes) -> None:
        await self._stream.send(self._send, {"type": "http.response.body", "body": text, "more_body": True})


def event_texts(deliveries: Iterable[Delivery]) -> bytes:
    """Return deliveries as a client of Server-Sent Events reads them."""
    return b"".join(map(_event_text, deliveries))


def _event_text(delivery: Delivery) -> bytes:
    epoch = delivery.epoch.encode()
    if isinstance(delivery, HubItem):
        name = delivery.name.encode()
        return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (epoch, delivery.position, name, delivery.data)
    data = msgspec.json.encode({"first": delivery.first, "last": delivery.last})
    return b"id: %b-%d\nevent: reset\ndata: %b\n\n" % (epoch, delivery.last, data)
