"""An HTTP server for ASGI applications, on asyncio and trio: `server` starts it, the others guard its connections."""

from __future__ import annotations

from modd.serving.server import Asgi, PortTaken, Receive, Scope, Send, confirm_lifespan, listen_at, serve_http

__all__ = ["Asgi", "PortTaken", "Receive", "Scope", "Send", "confirm_lifespan", "listen_at", "serve_http"]
