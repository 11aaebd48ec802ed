"""An HTTP server for ASGI applications, on asyncio and trio: `server` starts it, the others guard its connections."""

from __future__ import annotations
