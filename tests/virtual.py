"""The fixture `anyio_backend` for modules whose tests let time pass."""

from __future__ import annotations

from typing import Any

import pytest

from modd.testing import virtual_backend


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """Return the loop of the test, with a virtual clock."""
    return virtual_backend(request.param)
