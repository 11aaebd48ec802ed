"""The fixture of `modd.testing.plugin`, which registers this module after all other plugins, so that it counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modd.testing.clock import virtual_backend

LOOPS = ("asyncio", "trio")


class Virtual(msgspec.Struct, frozen=True):
    """The parameter for a loop with a clock that jumps; each run gets a clock of its own."""

    loop: str


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """The loop that an async test runs on; one for each test, so that each has a clock of its own."""
    loop = request.param
    return virtual_backend(loop.loop) if isinstance(loop, Virtual) else loop
