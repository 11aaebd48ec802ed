"""For modules whose tests move time: import `anyio_backend` from here."""

from __future__ import annotations

from typing import Any

import pytest

from modd.testing import virtual_backend


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with a clock that jumps."""
    return virtual_backend(request.param)
