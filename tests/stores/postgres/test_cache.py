"""The cache in PostgreSQL: the suite of the port is in test_suites."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.postgres.server import PostgresServer
from tests.stores.postgres.clock import TestClock
from tests.stores.postgres.stores import new_store

pytestmark = pytest.mark.anyio


async def test_a_value_is_set_with_the_commit_or_at_once(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        cache = store.cache
        with suppress(ZeroDivisionError):
            async with store.transaction():
                await cache.set("at once", b"1", 60)
                await cache.set_on_commit("on commit", b"1", 60)
                raise ZeroDivisionError
        assert [await cache.get(key) for key in ("at once", "on commit")] == [b"1", None]
        async with store.transaction():
            await cache.set_on_commit("on commit", b"1", 60)
            assert await cache.get("on commit") is None
        assert await cache.get("on commit") == b"1"


async def test_values_and_locks_end_by_the_time_of_the_database(clock: TestClock) -> None:
    # PG-6
    async with clock.new_store() as store:
        await store.cache.set("a", b"1", 10)
        assert await store.locks.acquire("a", 10, "mine")
        clock.now += 9
        assert await store.locks.renew("a", 2, "mine")
        assert not await store.cache.add("a", b"2", 10)
        clock.now += 1
        assert await store.cache.get("a") is None
        assert await store.cache.add("a", b"2", 10)
        assert not await store.locks.acquire("a", 10, "other")
        clock.now += 1
        assert not await store.locks.renew("a", 2, "mine")
        assert await store.locks.acquire("a", 10, "other")
