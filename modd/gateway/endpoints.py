"""The endpoints of HTTP: an ASGI application that knows the paths of a gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias

import anyio
import msgspec
from starlette import requests
from starlette.responses import Response

from modd.cqrs import Actor
from modd.gateway.addresses import ClientAddresses
from modd.gateway.calls import Calls, Content, Reply
from modd.gateway.cors import Cors
from modd.gateway.errors import Refused
from modd.gateway.exposures import Exposure
from modd.gateway.json_body import CLOUD_EVENT, JSON, media_type_of, open_cloud_event
from modd.gateway.limits import ConnectionCount, Limits, longest_send, read_body, time_limit
from modd.gateway.outcomes import OutcomeWaits, preferred_wait
from modd.gateway.problems import Problem
from modd.gateway.request import Request, path_of
from modd.serving.server import Asgi, Receive, Scope, Send, confirm_lifespan

EventStream: TypeAlias = Callable[[Request, Actor | None], Awaitable[Response]]
"""Answers ``GET /events``."""

_METHODS = {"commands": "POST", "queries": "GET, HEAD, POST", "events": "GET", "documents": "GET, HEAD"}
"""The methods of each way, as the header ``Allow`` has them."""

_EVERYWHERE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
"""Headers of all responses that do not say otherwise."""

_DEPENDS_ON_ACTOR = {"Vary": "Origin, Authorization, Cookie"}
"""Headers of an answer that a browser may keep, and must not show to the next one who signs in."""


class Endpoints:
    """The ASGI application of a gateway: the only code that reads requests and writes responses.

    calls: sends commands and queries. cors: knows the headers of CORS. limits: the limits.
    count: counts requests and streams. addresses: tells the addresses of clients.
    events: answers ``GET /events``; None if nothing is forwarded.
    websocket: answers WebSockets at ``/ws``; None if there is none.
    outcomes: the waits for outcomes of queued commands; None without a feed.
    documents: the documents that describe the gateway, by their paths.
    """

    def __init__(
        self,
        calls: Calls,
        cors: Cors,
        limits: Limits,
        count: ConnectionCount,
        addresses: ClientAddresses,
        events: EventStream | None = None,
        websocket: Asgi | None = None,
        outcomes: OutcomeWaits | None = None,
        documents: Mapping[str, dict[str, Any]] = {},
    ) -> None:
        self._calls, self._cors, self._limits = calls, cors, limits
        self._count, self._addresses = count, addresses
        self._events, self._websocket = events, websocket
        self._outcomes, self._documents = outcomes, documents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket, or the start and the end of the server."""
        if scope["type"] == "http":
            with ExitStack() as slots:
                response = await self._respond(requests.Request(scope, receive), slots)
                with anyio.move_on_after(longest_send(response)):
                    await response(scope, receive, send)
        elif scope["type"] == "lifespan":
            await confirm_lifespan(receive, send)
        elif self._websocket is not None and path_of(scope) == "/ws":
            await self._websocket(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def request_of(self, connection: requests.HTTPConnection) -> Request:
        """Return a request as ``who`` sees it."""
        return Request(connection, self._addresses.of(connection))

    async def _respond(self, raw: requests.Request, slots: ExitStack) -> Response:
        """Return the response to a request: that of its endpoint, or the problem with it; with all headers.

        slots: counts the request as under way until the response is sent.
        """
        preflight = self._cors.preflight(raw.method, raw.headers)
        if preflight is not None:
            response = Response(status_code=204, headers=preflight)
        else:
            try:
                response = await self._answer(raw, slots)
            except Exception as error:
                response = _problem_response(self._calls.problem(error))
        for name, value in (_EVERYWHERE | self._cors.headers(raw.headers)).items():
            response.headers.setdefault(name, value)
        if raw.method == "HEAD":
            response.body = b""
        return response

    async def _answer(self, raw: requests.Request, slots: ExitStack) -> Response:
        """Return the response of the endpoint of a path. Raises any error."""
        request = self.request_of(raw)
        slots.enter_context(self._count.of_address(request.address))
        if request.path == "/events" and self._events is not None:
            return await self._stream(request, self._events, slots)
        if request.path in self._documents:
            return self._describe(request, str(raw.scope.get("root_path", "")))
        way, _, name = request.path.removeprefix("/").partition("/")
        exposure = self._calls.find(way, name)
        if raw.method not in _METHODS[way].split(", "):
            return _wrong_method(way)
        if self._outcomes is not None and exposure.way == "commands":
            seconds = preferred_wait(raw.headers.getlist("prefer"))
            if seconds:
                return await self._call_and_hold(exposure, raw, request, slots, self._outcomes, seconds)
        reply = await self._call(exposure, raw, request, slots)
        return _reply_response(exposure, reply)

    def _describe(self, request: Request, prefix: str) -> Response:
        """Return a document that describes the gateway. prefix: the path under which it is mounted."""
        if request.method not in _METHODS["documents"].split(", "):
            return _wrong_method("documents")
        document = self._documents[request.path]
        is_under_prefix = "openapi" in document and prefix.strip("/")
        return _json_response(document | {"servers": [{"url": prefix}]} if is_under_prefix else document)

    async def _stream(self, request: Request, events: EventStream, slots: ExitStack) -> Response:
        if request.method != "GET":
            return _wrong_method("events")
        actor = await self._calls.identify(request)
        slots.enter_context(self._count.of_actor(actor))
        return await events(request, actor)

    async def _call_and_hold(
        self,
        exposure: Exposure,
        raw: requests.Request,
        request: Request,
        slots: ExitStack,
        outcomes: OutcomeWaits,
        seconds: int,
    ) -> Response:
        """Return the response to a command; if it is queued, once its outcome is known, or after these seconds."""
        async with outcomes.waiting() as wait:
            reply = await self._call(exposure, raw, request, slots)
            outcome = await wait.hold(reply.id, seconds, raw.receive) if reply.queued else None
        if outcome is None:
            return _reply_response(exposure, reply)
        if outcome.outcome != "done":
            return _problem_response(self._calls.problem_of(reply, outcome))
        return _json_response({"id": reply.id, "result": outcome.result})

    async def _call(self, exposure: Exposure, raw: requests.Request, request: Request, slots: ExitStack) -> Reply:
        """Send a command or a query and return its reply. Raises any error."""
        with time_limit(self._limits.timeout):
            return await self._send(exposure, raw, request, slots)

    async def _send(self, exposure: Exposure, raw: requests.Request, request: Request, slots: ExitStack) -> Reply:
        actor = await self._calls.identify(request)
        slots.enter_context(self._count.of_actor(actor))
        self._calls.check_actor(exposure, actor)
        content, key = await self._read(exposure, raw)
        traceparent = raw.headers.get("traceparent")
        if exposure.way == "commands":
            return await self._calls.command(exposure.name, content, actor, key=key, traceparent=traceparent)
        return await self._calls.query(exposure.name, content, actor, traceparent=traceparent)

    async def _read(self, exposure: Exposure, raw: requests.Request) -> tuple[Content, str | None]:
        """Return the content of a message, and the idempotency key. Raises `Refused`, `InvalidIntent`."""
        if raw.method != "POST":
            return raw.query_params.multi_items(), None
        media_type = media_type_of(raw.headers.get("content-type"))
        body = await read_body(raw.stream(), raw.headers.get("content-length"), self._limits.body)
        key = _only(raw.headers.getlist("idempotency-key"))
        if media_type != CLOUD_EVENT:
            return body, key
        data, id = open_cloud_event(body, exposure.name, exposure.kind)
        return data, id if key is None else key


def _only(values: list[str]) -> str | None:
    if len(values) > 1:
        raise Refused(400, "Send one idempotency key.")
    return values[0] if values else None


def _reply_response(exposure: Exposure, reply: Reply) -> Response:
    if exposure.way == "queries":
        depends = {} if exposure.is_public else _DEPENDS_ON_ACTOR
        return _json_response(reply.result, headers={"Cache-Control": exposure.cache, **depends})
    if reply.queued:
        return _json_response({"id": reply.id}, 202)
    return _json_response({"id": reply.id, "result": reply.result})


def _json_response(content: Any, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    return Response(msgspec.json.encode(content), status, headers={"Content-Type": JSON, **headers})


def _problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return Response(problem.encode(), problem.status, headers=problem.headers | (headers or {}))


def _wrong_method(way: str) -> Response:
    return _problem_response(Problem(405), {"Allow": _METHODS[way]})
