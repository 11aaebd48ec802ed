"""The connections of a server, guarded: one that fails ends alone."""

from __future__ import annotations

import logging
from typing import Any

http_log = logging.getLogger("modd.http")
http_log.setLevel(logging.WARNING)


def guard_connections(server: Any) -> None:
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
