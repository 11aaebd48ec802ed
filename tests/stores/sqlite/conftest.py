"""Stores in files of their own, with a clock that moves when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class Clock:
    """Seconds since 1970, as told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with its own clock: work in other threads takes time."""
    return request.param


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture(params=["asyncio", "asyncio natively", "trio"])
def how(request: Any) -> str:
    """The loop, and how tasks are cancelled: by their scope, or natively, which trio does not have."""
    return str(request.param)


@pytest.fixture
def natively(how: str) -> bool:
    return how.endswith("natively")
