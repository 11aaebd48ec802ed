"""The cache in a file: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modd.ports import Cache
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import CacheConformance
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio


class TestSqliteCache(CacheConformance):
    """The suite of the port."""

    @pytest.fixture(autouse=True)
    def _own(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Cache]:
        async with SqliteStore(self.path, clock=self.clock) as store:
            yield store.cache

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds
