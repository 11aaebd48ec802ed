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
from modd.gateway.client_stream import GRACE, ClientStream, EndReason, cancel_at_disconnect
from modd.gateway.hub import Hub
from modd.gateway.rendering import HubItem, Topic
from modd.gateway.request import Request
from modd.gateway.subscription import Delivery, EventSubscription, Reset

RETRY: Final = (1_000, 3_000)
"""Milliseconds, at least and at most, after which a client comes again, so that not all do at once."""

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def event_stream(request: Request, actor: Actor | None, events: ClientEvents) -> Response:
    """Return the stream of events for a request.

    Raises `Refused`: with 400 for parameters that make no sense, 401 or 403 for a channel that the actor may not hear,
    503 if the feed is not followed in time, or the gateway stops, 404 without a feed.
    """
    after = resume_id(request)
    topics = await events.topics(actor, request.query.getlist("channel"))
    await events.check()
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
        """Send events until the client goes away, or the stream has to end; then the end of the body."""
        hub = self._events.hub
        assert hub is not None  # topics are of forwards, and these need a feed
        with self._events.streams.open() as stream, hub.subscribe(stream) as subscription:
            self._events.begin(subscription, self._topics, self._after)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._feed(_Feeding(hub, stream, subscription, send), stream, receive)
            if stream.reason not in (None, EndReason.UNREAD):
                await _send_end(send)

    async def _feed(self, feeding: _Feeding, stream: ClientStream, receive: Receive) -> None:
        """Send events until the client goes away, or the stream has to end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_at_disconnect, receive, tasks.cancel_scope)
            tasks.start_soon(stream.watch, self._lifetime, tasks.cancel_scope)
            with suppress(OSError):  # some servers raise it when the client has gone
                await feeding.run(self._after)
            tasks.cancel_scope.cancel()


class _Feeding:
    """Sends what a subscription receives as the body of a response."""

    def __init__(self, hub: Hub, stream: ClientStream, subscription: EventSubscription, send: Send) -> None:
        self._hub, self._stream, self._subscription, self._send = hub, stream, subscription, send
        stream.on_quiet(subscription.wake)

    async def run(self, after: EventId | None) -> None:
        """Send the beginning, events and comments until the stream has to end."""
        id = b"" if after is not None else self._current_id()
        await self._send_body(b"retry: %d\n%b: ok\n\n" % (randint(*RETRY), id))
        while self._stream.reason is None:
            deliveries = await self._subscription.receive()
            if deliveries:
                await self._send_body(event_texts(deliveries))
            elif self._stream.is_quiet:  # a comment, so that proxies keep the connection
                await self._send_body(self._current_id() + b":\n\n")

    def _current_id(self) -> bytes:
        """Return the line with the id after which the client is to resume if it goes away before the next event."""
        position = self._subscription.position
        return b"" if position is None else b"id: %b-%d\n" % (self._hub.epoch.encode(), position)

    async def _send_body(self, text: bytes) -> None:
        await self._stream.send(self._send, {"type": "http.response.body", "body": text, "more_body": True})


async def _send_end(send: Send) -> None:
    """Send the end of the body. Nothing may cancel it when the server then tells that the request is over."""
    with suppress(OSError), anyio.move_on_after(GRACE):
        await send({"type": "http.response.body", "body": b""})


def event_texts(deliveries: Iterable[Delivery]) -> bytes:
    """Return deliveries as a client of Server-Sent Events reads them."""
    return b"".join(each.text(_event) if isinstance(each, HubItem) else _reset(each) for each in deliveries)


def _event(item: HubItem) -> bytes:
    return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (
        item.epoch.encode(),
        item.position,
        item.name.encode(),
        item.data,
    )


def _reset(reset: Reset) -> bytes:
    data = msgspec.json.encode({"first": reset.first, "last": reset.last})
    return b"id: %b-%d\nevent: reset\ndata: %b\n\n" % (reset.epoch.encode(), reset.last, data)
