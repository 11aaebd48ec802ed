"""The fixture of `modd.testing.plugin`, in a separate module that is registered last, so that it takes precedence."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import msgspec
import pytest

from modd.testing.clock import virtual_backend

LOOPS = ("asyncio", "trio")

_NO_TRIO = (
    'trio is not installed: pip install "modd[trio]", or let a fixture anyio_backend of your own return "asyncio"'
)


class Virtual(msgspec.Struct, frozen=True):
    """A fixture parameter: an event loop with a virtual clock, a new one for each run."""

    loop: str


def loop_params(parameter: Callable[[str], Any] = str, suffix: str = "") -> list[Any]:
    """Return a fixture parameter for each loop; that of trio is skipped if trio is not installed."""
    is_missing = {"asyncio": False, "trio": find_spec("trio") is None}
    return [
        pytest.param(parameter(loop), id=f"{loop}{suffix}", marks=pytest.mark.skipif(is_missing[loop], reason=_NO_TRIO))
        for loop in LOOPS
    ]


@pytest.fixture(params=loop_params())
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Return the event loop of an async test, with a new clock for each test."""
    loop = request.param
    return virtual_backend(loop.loop) if isinstance(loop, Virtual) else loop
