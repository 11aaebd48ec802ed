"""Every async test here runs on asyncio and on trio, with a virtual clock."""

from __future__ import annotations

from tests.virtual import anyio_backend  # noqa: F401  # a fixture
