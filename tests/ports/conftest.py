"""Every async test here runs on asyncio and on trio, on a clock that jumps."""

from __future__ import annotations

from tests.virtual import anyio_backend  # noqa: F401  # a fixture
