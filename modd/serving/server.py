"""An HTTP server for ASGI applications, on asyncio and trio, at a socket that listens already."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib import import_module
from typing import Any, Final, TypeAlias

import anyio

from modd.concurrency.loops import loop_name
from modd.errors import ModdError
from modd.serving.connections import guard_connections, http_log
from modd.serving.guards import set_guarded
from modd.serving.websockets import guard_websockets

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An application, as ASGI defines it."""


LOST_PEER: Final = 20.0
"""Seconds after which a connection ends if the peer's system confirms nothing of what was sent to it."""


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
    if stopped.is_set():  # hypercorn on asyncio leaks a cancellation then
        listener.close()
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_set_when_cancelled, stopped)
        with anyio.CancelScope(shield=True):  # the server closes its sockets only if it ends by itself
            serve = import_module(f"hypercorn.{loop_name()}").serve
            guard_connections(loop_name())
            guard_websockets()
            await serve(_Http1(app), _configure(listener, settings), shutdown_trigger=stopped.wait, mode="asgi")
        tasks.cancel_scope.cancel()


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
    set_guarded(config)
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
    _end_lost_peers(listener)
    return listener


def _end_lost_peers(listener: socket.socket) -> None:
    """Have the system end connections whose peer is lost, if it can do so: Linux does."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, int(LOST_PEER * 1000))  # connections inherit it


async def confirm_lifespan(receive: Receive, send: Send) -> None:
    """Confirm that an application has started, and in the end that it has ended."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
