"""An HTTP server for ASGI applications, on asyncio and trio, at a socket that listens already."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib import import_module
from typing import Any, TypeAlias

import anyio

from modd.concurrency.loops import loop_name
from modd.errors import ModdError

http_log = logging.getLogger("modd.http")
http_log.setLevel(logging.WARNING)

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An application, as ASGI defines it."""


class PortTaken(ModdError, OSError):
    """The port at which a server of the app is to listen is taken.

    host: the address.
    port: the port.
    cure: the option that gives it another port, in the text.

    End the process that listens there, or give another port, such as ``Health(port=8082)``.
    """

    def __init__(self, host: str, port: int, cure: str) -> None:
        self.host, self.port = host, port
        super().__init__(
            f"port {port} of {host} is taken; end the process that listens there, or give another one: {cure}"
        )


async def serve_http(
    app: Asgi, listener: socket.socket, stopped: anyio.Event, settings: Mapping[str, Any] = {}
) -> None:
    """Answer requests until the event is set; then answer the requests that are under way. It needs hypercorn.

    Requests of HTTP/2 are refused: without TLS they come through a tunnel that a proxy does not look into, so that it
    neither checks their paths nor adds the address of the client.

    app: the application. listener: a socket that listens; it is closed in the end.
    settings: settings of hypercorn, by name; by default none.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_set_when_cancelled, stopped)
        with anyio.CancelScope(shield=True):  # the server closes its sockets only if it ends by itself
            serve = import_module(f"hypercorn.{loop_name()}").serve
            _guard_connections(import_module(f"hypercorn.{loop_name()}.run"))
            await serve(_Http1(app), _configure(listener, settings), shutdown_trigger=stopped.wait, mode="asgi")
        tasks.cancel_scope.cancel()


def _guard_connections(server: Any) -> None:
    """Have a connection end alone when it fails: on trio, hypercorn ends the server with it, and HTTP/2 can fail so.

    server: the module of hypercorn that makes connections; it takes the class of them from nowhere else.
    """
    made = server.TCPServer
    if getattr(made, "is_guarded", False):
        return

    async def run(connection: Any) -> None:
        try:
            await made.run(connection)
        except Exception as error:
            http_log.warning("a connection failed: %s", type(error).__name__)

    server.TCPServer = type("TCPServer", (made,), {"run": run, "is_guarded": True})


class _Http1:
    """An application that gets no requests of HTTP/2, whose status is 505."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("http_version") != "2":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 505, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1000})


def _configure(listener: socket.socket, settings: Mapping[str, Any]) -> Any:
    """Return the configuration of the server, with the socket that listens."""
    module = import_module("hypercorn.config")
    config = module.Config()
    config.create_sockets = lambda: module.Sockets([], [listener], [])
    config.errorlog, config.include_server_header = http_log, False
    for name, value in settings.items():
        setattr(config, name, value)
    return config


async def _set_when_cancelled(stopped: anyio.Event) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        stopped.set()


def listen_at(host: str, port: int, subject: str, cure: str) -> socket.socket:
    """Return a socket that listens. Raises `PortTaken`, and ``OSError`` with a note.

    subject: the thing that listens, for the errors. cure: the option for another port.
    """
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port, cure) from None
        error.add_note(f"for {subject} at {host}, port {port}")
        raise
    listener.setblocking(False)
    return listener


async def confirm_lifespan(receive: Receive, send: Send) -> None:
    """Confirm that an application has started, and in the end that it has ended."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
