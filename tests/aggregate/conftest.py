"""Stores for aggregates: in memory, and a file of SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from modd.stores import MemoryStore, SqliteStore

kinds = pytest.fixture(params=["memory", "sqlite"])


@kinds
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """Return a store that is open for the test."""
    async with MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "events.db") as opened:
        yield opened


@kinds
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Any, ...]]:
    """Return two stores on one file, or twice the one in memory."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            store = MemoryStore()
            yield store, store
        else:
            path = tmp_path / "events.db"
            yield tuple([await stack.enter_async_context(SqliteStore(path)) for _ in range(2)])
