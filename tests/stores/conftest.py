"""Every async test here runs on asyncio and on trio, on a clock that jumps."""

from __future__ import annotations

from typing import Any

import pytest

from modd.testing import virtual_backend


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with a clock of its own."""
    return virtual_backend(request.param)
