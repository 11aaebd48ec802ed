"""Every async test runs on asyncio and on trio."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes that tests start are not measured: this would slow them down, and many of them are killed.
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

settings.register_profile(
    "modd",
    deadline=None,  # how long an example takes is no property of the code, nor how long it takes to draw one
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("MODD_PROFILE") != "long",  # `make proof` draws other examples each time
    print_blob=True,
)
settings.load_profile("modd")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on."""
    return request.param
