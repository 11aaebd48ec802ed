"""The gateway: begin reading here. `misuse` checks its options, `endpoints` answers the requests, and `calls` sends the
messages of clients to the bus.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import anyio
from starlette.websockets import WebSocket

from modd.core import Bus
from modd.cqrs import Codec, TypedBus
from modd.cqrs.enclosing import open_bus
from modd.gateway.addresses import ClientAddresses
from modd.gateway.admission import Admission, Who, checked_origins
from modd.gateway.asyncapi import asyncapi_document
from modd.gateway.calls import Calls
from modd.gateway.client_events import ClientEvents
from modd.gateway.cors import Cors
from modd.gateway.endpoints import Endpoints
from modd.gateway.exposures import Exposure, Forward
from modd.gateway.hub import Hub
from modd.gateway.limits import ConnectionCount, Limits
from modd.gateway.misuse import check_options, check_together, checked_exposures, checked_place
from modd.gateway.openapi import openapi_document
from modd.gateway.problems import Problems
from modd.gateway.sse import event_stream
from modd.gateway.websocket import PING, WebSockets
from modd.http_errors import checked_statuses
from modd.ports.feed import Feed
from modd.serving.server import Asgi, Receive, Scope, Send, listen_at, serve_http

log = logging.getLogger("modd.gateway")


class Gateway:
    """The public listener of an app: commands, queries and events of a bus for clients over HTTP.

    Clients reach the types that you expose, and nothing else. Give it to an `App`, which runs it; or mount `asgi` in an
    app of FastAPI or Starlette, or in a server such as uvicorn.

    bus: the bus, with all its middleware. It is opened for `run` if it is not open.
    exposures: the types that clients may send, ask and hear: `accept`, `answer` and `forward` return them.
    feed: the feed with the events that clients hear, and the outcomes of queued commands for which they wait; by
        default None, for a gateway without `forward`.
    codec: decodes the items of the feed; by default a `Codec` of the types that are forwarded.
    who: a function, sync or async, from a `Request` to the `Actor` of the client, or None for no actor; it may raise
        `Refused`. By default None: no client has an actor.
    origins: the origins of pages in browsers that may use the gateway, such as ``https://shop.example``; by default
        none but the gateway's own.
    listen: host and port, such as ``127.0.0.1:8000``; port 0 for a free one. By default None, for a gateway that is
        mounted.
    errors: the status for each type of error of your application, whose text is sent to clients; by default none.
    limits: how much clients may use; by default `Limits()`.
    trusted_proxies: networks of proxies whose header ``X-Forwarded-For`` tells the addresses of clients, such as
        ``10.0.0.0/8``; by default none.
    describe: True to tell everybody of the exposed types: ``GET /openapi.json`` returns the commands and queries, and
        ``GET /asyncapi.json`` the events. By default False.

    Raises:
        GatewayMisuse: things that do not go together; all of them at once.
        DuplicateName: two exposures have one name.
        InvalidOption: an option has a value that cannot work.
        InvalidUpcasters: a type that is forwarded has a ``schema_version``, and there is no ``codec``.
    """

    label: ClassVar[str] = "gateway"
    """The name of the part in the status of an app."""
    stops_first: ClassVar[bool] = True
    """True: an app stops it before the parts that do its work."""

    def __init__(
        self,
        bus: Bus | TypedBus,
        *exposures: Exposure | Forward,
        feed: Feed | None = None,
        codec: Codec | None = None,
        who: Who | None = None,
        origins: Collection[str] = (),
        listen: str | None = None,
        errors: Mapping[type[Exception], int] = {},
        limits: Limits | None = None,
        trusted_proxies: Collection[str] = (),
        describe: bool = False,
    ) -> None:
        sent, forwards = checked_exposures(exposures)
        check_options(bus, feed, codec, who, limits, describe)
        self._bus, self._limits = bus, limits or Limits()
        self._place = None if listen is None else checked_place(listen)
        check_together(bus, sent, forwards, feed, who, self._place, describe=describe)
        admission, problems = Admission(who, checked_origins(origins)), Problems(checked_statuses("errors", errors))
        calls = Calls(bus, sent, forwards, admission, problems, self._limits)
        hub = None if feed is None else Hub(feed, forwards, codec or _codec_of(forwards), self._limits)
        self._count, self._events = ConnectionCount(self._limits), ClientEvents(calls, self._limits, hub)
        self._websockets = WebSockets(calls, self._events, self._count, self._limits, needs_actor=who is not None)
        self._endpoints = Endpoints(
            calls,
            Cors(admission.origins),
            self._limits,
            self._count,
            ClientAddresses(trusted_proxies),
            partial(event_stream, events=self._events) if forwards else None,
            self._serve_websocket,
            None if hub is None else hub.outcomes,
            _documents(bus.name, sent, forwards) if describe else {},
        )
        self._ready, self._stopped = anyio.Event(), anyio.Event()
        self._bound_port: int | None = None

    @property
    def asgi(self) -> Asgi:
        """The gateway as an ASGI application. Open the bus around it, if `run` does not.

        It follows the feed in its lifespan. An app of FastAPI or Starlette in which it is mounted gives it none: let
        that app run `run` in a task.
        """

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await self._answer(scope, receive, send)

        return answer  # a function: uvicorn takes a method for an application of ASGI 2

    @property
    def bound_port(self) -> int | None:
        """The port at which it listens; None while it does not listen."""
        return self._bound_port

    async def run(self) -> None:
        """Listen and answer requests until `stop` is called.

        Raises: `PortTaken`; the error of the feed if its store is used in a wrong way, such as one that is closed.
        """
        async with open_bus(self._bus), self._events.running(self._stopped):
            if self._place is None:
                self._ready.set()
                await self._stopped.wait()
            else:
                await self._serve(*self._place)

    def stop(self) -> None:
        """Have `run` answer the requests that are under way, and end; none waits for an outcome any longer."""
        self._stopped.set()

    async def wait_ready(self) -> None:
        """Return when `run` listens, and follows the feed."""
        await self._ready.wait()
        await self._events.wait_ready()

    def problem(self) -> str | None:
        """Return the words for what is wrong at the moment: the feed, or the limit of connections; else None."""
        if self._count.total < self._limits.connections:
            return self._events.problem()
        return f"{self._count.total} connections, which is the limit; give Limits more, or run more gateways"

    async def _serve(self, host: str, port: int) -> None:
        settings = {
            "graceful_timeout": self._limits.timeout,
            "shutdown_timeout": self._limits.timeout,
            "websocket_max_message_size": self._limits.body,
            "websocket_ping_interval": PING,
        }
        listener = listen_at(host, port, "the gateway", "Gateway(listen=...)")
        self._bound_port = listener.getsockname()[1]
        log.info("the gateway listens at %s, port %s", host, self._bound_port)
        self._ready.set()
        try:
            await serve_http(self._answer, listener, self._stopped, settings)
        finally:
            self._bound_port = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application; the feed is followed in its lifespan, unless `run` does so."""
        if scope["type"] == "lifespan":
            async with self._events.running(self._stopped):
                await self._endpoints(scope, receive, send)
        else:
            await self._endpoints(scope, receive, send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await self._websockets.serve(websocket, self._endpoints.request_of(websocket))


def _codec_of(forwards: Sequence[Forward]) -> Codec:
    return Codec([kind for each in forwards for kind in each.types])


def _documents(title: str, exposures: Sequence[Exposure], forwards: Sequence[Forward]) -> dict[str, Any]:
    """Return the documents that describe a gateway, by their paths."""
    return {
        "/openapi.json": openapi_document(title, exposures),
        "/asyncapi.json": asyncapi_document(title, forwards),
    }
