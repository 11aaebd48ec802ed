"""The locks in a file: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modd.errors import InvalidOption
from modd.ports import Locks
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import LocksConformance
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio


class TestSqliteLocks(LocksConformance):
    """The suite of the port."""

    @pytest.fixture(autouse=True)
    def _own(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Locks]:
        async with SqliteStore(self.path, clock=self.clock) as store:
            yield store.locks

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds


async def test_a_lock_excludes_those_who_open_the_file_elsewhere(path: Path, clock: Clock) -> None:
    async with SqliteStore(path, clock=clock) as store, SqliteStore(path, clock=clock) as other:
        assert await store.locks.acquire("a", 60, "me")
        assert not await other.locks.acquire("a", 60, "you")
        clock.now += 60
        assert await other.locks.acquire("a", 60, "you")
        assert not await store.locks.renew("a", 60, "me")
        await store.locks.release("a", "me")
        assert not await store.locks.acquire("a", 60, "me")


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), True, None, "1"])
async def test_a_time_that_cannot_be_is_an_error(path: Path, ttl: Any) -> None:
    async with SqliteStore(path) as store:
        for call in (store.locks.acquire("a", ttl, "me"), store.locks.renew("a", ttl, "me")):
            with pytest.raises(InvalidOption, match=r"ttl=.*: give seconds, more than 0"):
                await call
