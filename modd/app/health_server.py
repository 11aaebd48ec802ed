"""The HTTP server of the health of an app, on asyncio and trio."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import anyio
import msgspec

from modd.app.errors import PortTaken
from modd.app.health import Health
from modd.app.status import Status
from modd.concurrency.loops import loop_name

log = logging.getLogger("modd.app")
http_log = logging.getLogger("modd.app.http")
http_log.setLevel(logging.WARNING)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


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
        config = self._configure(self._listen())
        self._listening.set()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_when_cancelled)
                with anyio.CancelScope(shield=True):  # the server closes its sockets only if it ends by itself
                    serve = import_module(f"hypercorn.{loop_name()}").serve
                    await serve(self.answer, config, shutdown_trigger=self._stopped.wait, mode="asgi")
                tasks.cancel_scope.cancel()
        finally:
            self._health.bound_port = None

    async def answer(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, as an ASGI application."""
        if scope["type"] == "http":
            code, body = await self._respond(scope["method"], scope["path"])
            await _send_json(send, code, {"name": self._name, **body})
        elif scope["type"] == "lifespan":
            await _live_on(receive, send)
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

    def _configure(self, listener: socket.socket) -> Any:
        """Return the configuration of the server, with the socket that listens."""
        module = import_module("hypercorn.config")
        config = module.Config()
        config.create_sockets = lambda: module.Sockets([], [listener], [])
        config.errorlog, config.include_server_header = http_log, False
        config.graceful_timeout = config.shutdown_timeout = config.keep_alive_timeout = 1.0
        return config

    def _listen(self) -> socket.socket:
        """Return a socket that listens. Raises `PortTaken`."""
        host, port = self._health.host, self._health.port
        try:
            listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(host, port) from None
            error.add_note(f"for the health at {host}, port {port}")
            raise
        listener.setblocking(False)
        self._health.bound_port = listener.getsockname()[1]
        log.info("%s: health at %s, port %s", self._name, host, self._health.bound_port)
        return listener

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._stopped.set()


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


async def _live_on(receive: Receive, send: Send) -> None:
    """Confirm that the application has started, and in the end that it has ended."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
