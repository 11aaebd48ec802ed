"""WebSockets: ``/ws`` with the subprotocol ``modd.v1``, from the request for an upgrade to the first frame."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Final

import anyio
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from modd.cqrs import Actor
from modd.gateway.calls import Calls
from modd.gateway.client_events import ClientEvents
from modd.gateway.client_stream import EndReason
from modd.gateway.errors import Refused
from modd.gateway.frames import BadFrame, TokenFrame, read_frame
from modd.gateway.limits import ConnectionCount, Limits
from modd.gateway.problems import Problem
from modd.gateway.request import Request
from modd.gateway.websocket_session import WebSocketSession

PROTOCOL: Final = "modd.v1"
"""The subprotocol of the frames."""

PING: Final = 20.0
"""Seconds between pings; a client that says nothing from one to the next is cut off."""

TOKEN_WAIT: Final = 5.0
"""Seconds that a client has to send its token, if the request for the upgrade did not tell who it is."""

CODE_WAIT: Final = 1.0
"""Seconds that a client has to take the code for the end of its connection."""

INTERNAL_ERROR: Final = 1011
TOO_MANY: Final = 4429


class WebSockets:
    """Opens WebSockets for clients.

    calls: sends their commands and queries. events: the events that they hear. count: the connections of each actor.
    limits: the limits. needs_actor: True if a client has to prove who it is.
    """

    def __init__(
        self, calls: Calls, events: ClientEvents, count: ConnectionCount, limits: Limits, *, needs_actor: bool
    ) -> None:
        self._calls, self._events, self._count, self._limits = calls, events, count, limits
        self._needs_actor = needs_actor

    async def serve(self, websocket: WebSocket, request: Request) -> None:
        """Serve a client until one side ends the connection.

        request: the request for the upgrade.
        """
        with ExitStack() as counted:
            try:
                counted.enter_context(self._count.of_address(request.address))
                actor = await self._admit(websocket, request)
                counted.enter_context(self._count.of_actor(actor))
            except Exception as error:
                await deny(websocket, self._calls.problem(error))
                return
            await websocket.accept(PROTOCOL)
            if actor is None and self._needs_actor:
                code = await self._serve_after_token(websocket, request)
            else:
                code = await self._serve_actor(websocket, actor)
            with suppress(WebSocketDisconnect, RuntimeError), anyio.move_on_after(CODE_WAIT):
                await websocket.close(code)

    async def _admit(self, websocket: WebSocket, request: Request) -> Actor | None:
        """Return the actor of the request; None if it may come with the first frame. Raises `Refused`."""
        if PROTOCOL not in websocket.scope.get("subprotocols", ()):
            raise Refused(400, f"Ask for the subprotocol {PROTOCOL}.")
        self._events.streams.check()
        try:
            return await self._calls.identify(request)
        except Refused as error:
            if error.status != 401:
                raise
            return None

    async def _serve_after_token(self, websocket: WebSocket, request: Request) -> int:
        """Serve the client if its first frame has a token of an actor; return the code for the end."""
        try:
            actor = await self._actor_of_token(websocket, request)
        except (Refused, BadFrame):
            return EndReason.EXPIRED
        except Exception as error:
            self._calls.problem(error)
            return INTERNAL_ERROR
        if actor is None:
            return EndReason.EXPIRED
        try:
            with self._count.of_actor(actor):
                return await self._serve_actor(websocket, actor)
        except Refused:
            return TOO_MANY

    async def _actor_of_token(self, websocket: WebSocket, request: Request) -> Actor | None:
        text = ""
        with anyio.move_on_after(TOKEN_WAIT):
            text = (await websocket.receive()).get("text") or ""
        frame = read_frame(text)
        return await self._calls.identify(request.with_token(frame.token)) if isinstance(frame, TokenFrame) else None

    async def _serve_actor(self, websocket: WebSocket, actor: Actor | None) -> int:
        """Serve a client, and return the code for the end of the connection."""
        try:
            streams = self._events.streams
            with streams.open() as stream, ExitStack() as stack:
                subscription, hub = None, self._events.hub
                if hub is not None and hub.has_events:
                    subscription = stack.enter_context(hub.subscribe(stream))
                session = WebSocketSession(
                    websocket, actor, stream, subscription, self._calls, self._events, self._limits
                )
                return await session.run()
        except Refused:
            return EndReason.STOPPED


async def deny(websocket: WebSocket, problem: Problem) -> None:
    """Answer a request for an upgrade with a problem, or with 403 where the server knows no other answer."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(Response(problem.encode(), problem.status, problem.headers))
    else:
        await websocket.close()
