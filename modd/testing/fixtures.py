"""The fixture of `modd.testing.plugin`, in a separate module that is registered last, so that it takes precedence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modd.testing.clock import virtual_backend

LOOPS = ("asyncio", "trio")


class Virtual(msgspec.Struct, frozen=True):
    """A fixture parameter: an event loop with a virtual clock, a new one for each run."""

    loop: str


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Return the event loop of an async test, with a new clock for each test."""
    loop = request.param
    return virtual_backend(loop.loop) if isinstance(loop, Virtual) else loop
