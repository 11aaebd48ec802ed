"""The HTTP server of the health of an app, on asyncio and trio."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec

from modd.app.health import Health
from modd.app.status import Status
from modd.serving.server import Receive, Scope, Send, confirm_lifespan, listen_at, serve_http

log = logging.getLogger("modd.app")
_SETTINGS: dict[str, float] = dict.fromkeys(("graceful_timeout", "shutdown_timeout", "keep_alive_timeout"), 1.0)


class HealthServer:
    """Serves the health of an app until it is stopped: the first part of a run to begin, and the last to end.

    health: the options. name: the name of the app. status: returns its status.
    """

    def __init__(self, health: Health, name: str, status: Callable[[], Awaitable[Status]]) -> None:
        self._health, self._name, self._status = health, name, status
        self._listening, self._stopped = anyio.Event(), anyio.Event()

    async def wait_ready(self) -> None:
        """Return when the port is listened at."""
        await self._listening.wait()

    def stop(self) -> None:
        """Have `run` answer the requests that are under way, and end."""
        self._stopped.set()

    async def run(self) -> None:
        """Listen at the port and answer requests. Raises `PortTaken`."""
        host, port = self._health.host, self._health.port
        listener = listen_at(host, port, "the health", "Health(port=...)")
        self._health.bound_port = listener.getsockname()[1]
        log.info("%s: health at %s, port %s", self._name, host, self._health.bound_port)
        self._listening.set()
        try:
            await serve_http(self.answer, listener, self._stopped, _SETTINGS)
        finally:
            self._health.bound_port = None

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as an ASGI application."""
        if scope["type"] == "http":
            code, body = await self._respond(scope["method"], scope["path"])
            await _send_json(send, code, {"name": self._name, **body})
        elif scope["type"] == "lifespan":
            await confirm_lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _respond(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status code and the content of an answer."""
        if path not in ("/live", "/ready"):
            return 404, {"error": "not found; there are /live and /ready"}
        if method != "GET":
            return 405, {"error": "use GET"}
        if path == "/live":
            return 200, {"live": True}
        status = await self._status_until_stopped()
        return 200 if status.ready else 503, {"ready": status.ready, "parts": status.parts}

    async def _status_until_stopped(self) -> Status:
        """Return the status; at the stop of the server, do not wait for the checks any more."""
        status = Status(live=True, ready=False, parts={})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_stopped, tasks.cancel_scope)
            status = await self._status()
            tasks.cancel_scope.cancel()
        return status

    async def _cancel_when_stopped(self, scope: anyio.CancelScope) -> None:
        await self._stopped.wait()
        scope.cancel()


async def _send_json(send: Send, code: int, body: dict[str, Any]) -> None:
    content = msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),  # a connection that stays open would hold up the end
    ]
    if code == 405:
        headers.append((b"allow", b"GET"))
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": content})
