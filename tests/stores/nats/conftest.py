"""Stores on a NATS server: time is that of the server."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with its own clock: a server takes time."""
    return request.param
