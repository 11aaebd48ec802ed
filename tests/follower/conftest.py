"""Stores for followers, pairs of stores that have one content, and stores on a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from modd.stores import MemoryStore, SqliteStore
from tests.aggregate.conftest import store, stores

__all__ = ["store", "stores"]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return the clock of `timed`."""
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
async def timed(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Any]:
    """Return a store on the clock of the test."""
    memory = request.param == "memory"
    async with MemoryStore(clock=clock) if memory else SqliteStore(tmp_path / "events.db", clock=clock) as opened:
        yield opened
