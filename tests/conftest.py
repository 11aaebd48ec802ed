"""Every async test runs on asyncio and on trio."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("modd", settings(), deadline=None)  # how long an example takes is no property of the code
settings.load_profile("modd")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on."""
    return request.param
