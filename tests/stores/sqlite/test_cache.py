"""The cache in a file: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from modd.ports import Cache
from modd.stores.errors import StoreClosed
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
    async def create(self) -> AsyncIterator[Cache]:
        async with SqliteStore(self.path, clock=self.clock) as store:
            yield store.cache

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds


async def test_a_value_is_there_when_the_file_is_opened_again(path: Path, clock: Clock) -> None:
    async with SqliteStore(path, clock=clock) as store:
        await store.cache.set("a", b"1", 60)
        await store.cache.set("for ever", b"2", float("inf"))
    clock.now += 59
    async with SqliteStore(path, clock=clock) as store:
        assert await store.cache.get("a") == b"1"
        clock.now += 1
        assert await store.cache.get("a") is None
        assert await store.cache.get("for ever") == b"2"


async def test_a_time_that_is_none_keeps_nothing(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.cache.set("a", b"1", 60)
        await store.cache.set("a", b"1", float("nan"))
        assert await store.cache.get("a") is None
        assert not await store.cache.add("a", b"1", 0)
        assert await store.cache.add("a", b"1", 60)


async def test_a_cache_of_a_store_that_is_not_open_is_an_error(path: Path) -> None:
    cache = SqliteStore(path).cache
    for call in (cache.get("a"), cache.set("a", b"", 0), cache.add("a", b"", 0), cache.delete("a")):
        with pytest.raises(StoreClosed):
            await call


@pytest.mark.parametrize("immediate", [False, True])
async def test_a_value_that_is_set_on_commit_is_part_of_the_transaction(path: Path, immediate: bool) -> None:
    # DF-20
    async with SqliteStore(path) as store:
        with suppress(LookupError):
            async with store.transaction(immediate=immediate):
                await store.cache.set_on_commit("a", b"1", 60)
                raise LookupError
        assert await store.cache.get("a") is None
        async with store.transaction(immediate=immediate):
            await store.cache.set_on_commit("a", b"2", 60)
        assert await store.cache.get("a") == b"2"
        await store.cache.set_on_commit("a", b"3", 60)
        assert await store.cache.get("a") == b"3"
