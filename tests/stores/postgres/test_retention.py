"""Rows that have expired are deleted from PostgreSQL in small steps."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import psycopg
import pytest
from anyio.lowlevel import checkpoint

from modd.stores.postgres.retention import STEP, ExpirySweeper
from modd.stores.postgres.store import PostgresStore
from tests.postgres.server import PostgresServer
from tests.stores.postgres.clock import TestClock
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = pytest.mark.anyio

KEEP = 100.0

TABLES = ("cache", "locks", "inbox", "left_items")


async def fill(store: PostgresStore, number: int, ttl: float, clock: TestClock) -> None:
    """Put so many rows into each table."""
    schema = store.schema.quoted
    values = f"SELECT '{ttl} '::bytea || convert_to(each::text, 'UTF8'), %s{{}} FROM generate_series(1, %s) AS each"
    until, at = clock.now + ttl, clock.now
    async with store.transaction() as tx:
        for table, columns, more, time in (
            ("cache", "key, until, value", ", ''", until),
            ("locks", "key, until, token", ", ''", until),
            ("inbox", "id, at", "", at),
        ):
            sql = f"INSERT INTO {schema}.{table} ({columns}) {values.format(more)}"
            await tx.execute(sql, (time, number))
        await tx.execute(
            f"INSERT INTO {schema}.left_items SELECT each + %s, 1, '', 0, %s FROM generate_series(1, %s) AS each",
            (int(until * 10_000), until, number),
        )


async def rows(store: PostgresStore, tables: tuple[str, ...] = TABLES) -> tuple[int, ...]:
    """Return the number of rows in each table."""
    counts = [f"(SELECT count(*) FROM {store.schema.quoted}.{table})" for table in tables]
    async with store.transaction() as tx:
        [row] = await tx.fetch(f"SELECT {', '.join(counts)}")
    return row


async def empty(store: PostgresStore) -> None:
    """Wait until the tables are empty."""
    with anyio.fail_after(60):
        while any(await rows(store)):
            await checkpoint()


async def test_expired_rows_are_deleted_and_no_others(clock: TestClock) -> None:
    # PG-16
    async with clock.new_store(retention=KEEP) as store:
        await fill(store, 5, 60, clock)
        assert await store._sweeper.sweep() == 0
        clock.now += 60
        assert await store._sweeper.sweep() == 15
        assert await rows(store) == (0, 0, 5, 0)
        await fill(store, 3, 1000, clock)
        clock.now += 40
        assert await store._sweeper.sweep() == 5
        assert await rows(store) == (3, 3, 3, 3)


async def test_many_rows_are_deleted_in_steps(clock: TestClock) -> None:
    # PG-16
    async with clock.new_store(retention=KEEP) as store:
        feed = store.feed("public", retention=KEEP)
        await fill(store, 2 * STEP + 10, 60, clock)
        await feed.put(*[b""] * (2 * STEP + 10))
        clock.now += KEEP
        access = store.access("retention", at_once=True)
        for number, left in ((STEP, STEP + 10), (STEP, 10), (10, 0), (0, 0)):
            assert await access.write_for_result("retention", feed.operations.delete_removed, STEP) == number
            assert await rows(store, ("feed_items",)) == (left,)
        assert await store._sweeper.sweep() == 4 * (2 * STEP + 10)
        assert await rows(store, (*TABLES, "feed_items")) == (0, 0, 0, 0, 0)
        assert await feed.span() == (2 * STEP + 10, 2 * STEP + 10)


async def test_a_row_that_another_process_holds_is_left_to_a_later_sweep(
    postgres_server: PostgresServer, clock: TestClock
) -> None:
    # PG-16
    async with clock.new_store() as store:
        for key in ("held", "free"):
            await store.cache.set(key, b"", 10)
        clock.now += 10
        with psycopg.connect(postgres_server.url) as connection:
            table = f"{store.schema.quoted}.cache"
            connection.execute(f"SELECT 1 FROM {table} WHERE key = 'held' FOR UPDATE".encode())
            assert await store._sweeper.sweep() == 1
        assert await store._sweeper.sweep() == 1


async def test_items_that_are_not_settled_stay(clock: TestClock) -> None:
    async with clock.new_store(retention=KEEP) as store:
        await store.outbox.put(b"1")
        await store.outbox.claim(1, 1)
        clock.now += 10 * KEEP
        assert await store._sweeper.sweep() == 0
        assert len(await store.outbox.claim(9, 60)) == 1


async def test_a_store_that_is_open_sweeps_by_itself(clock: TestClock) -> None:
    # PG-16
    store = clock.new_store(retention=KEEP)
    store._sweeper = ExpirySweeper(store, KEEP, {}, interval=0.001)
    async with store:
        for _ in range(2):
            await fill(store, 3, 60, clock)
            clock.now += KEEP
            await empty(store)


async def test_an_error_of_a_sweep_is_logged_and_the_next_one_goes_on(
    clock: TestClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(dict[str, Any]):
        """Feeds that fail once."""

        has_failed = False

        def values(self) -> Any:
            if not self.has_failed:
                self.has_failed = True
                raise ZeroDivisionError
            return super().values()

    store = clock.new_store(retention=KEEP)
    store._sweeper = ExpirySweeper(store, KEEP, Failing(), interval=0.001)
    with caplog.at_level(logging.ERROR, "modd.stores"):
        async with store:
            await fill(store, 3, 60, clock)
            clock.now += KEEP
            await empty(store)
    [record] = caplog.records
    assert f"{store.name}: could not delete expired rows; trying again in 0.001 s" in record.getMessage()


async def test_the_sweeper_ends_when_the_store_is_closed(postgres_server: PostgresServer) -> None:
    with anyio.fail_after(60):
        await ExpirySweeper(new_store(postgres_server, new_schema()), KEEP, {}, interval=0).run()
