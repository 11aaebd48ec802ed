"""What is over goes away by itself."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.ports import Item
from modd.stores.sqlite.retention import STEP, Sweeper
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.conftest import Clock
from tests.stores.sqlite.connections import Watch, failed

pytestmark = pytest.mark.anyio

KEEP = 100.0
ROWS = """SELECT (SELECT count(*) FROM modd_cache), (SELECT count(*) FROM modd_locks),
    (SELECT count(*) FROM modd_inbox)"""

NAMES = """WITH RECURSIVE numbers (number) AS (VALUES (1) UNION ALL SELECT number + 1 FROM numbers WHERE number < ?),
    names (name) AS (SELECT ? || '.' || number FROM numbers)"""


async def fill(store: SqliteStore, many: int, ttl: float) -> None:
    """So many of each kind. What the inbox knows is over when it is kept no more."""
    now = store.clock()
    async with store.transaction() as tx:
        await tx.execute(f"{NAMES} INSERT INTO modd_cache SELECT name, ?, x'' FROM names", (many, ttl, now + ttl))
        await tx.execute(f"{NAMES} INSERT INTO modd_locks SELECT name, ?, 'me' FROM names", (many, ttl, now + ttl))
        await tx.execute(f"{NAMES} INSERT INTO modd_inbox SELECT name, ? FROM names", (many, ttl, now))


async def rows(store: SqliteStore) -> tuple[int, ...]:
    """How many values, locks and ids there are in the file."""
    async with store.transaction() as tx:
        [row] = await tx.fetch(ROWS)
    return row


async def empty(store: SqliteStore) -> None:
    """Wait until it is."""
    with anyio.fail_after(60):
        while await rows(store) != (0, 0, 0):
            await checkpoint()


async def test_what_is_over_is_deleted_and_nothing_else(path: Path, clock: Clock) -> None:
    # ST-29
    async with SqliteStore(path, clock=clock, retention=KEEP) as store:
        retention = Sweeper(store, KEEP)
        await fill(store, 5, ttl=60)
        assert await retention.sweep() == 0
        clock.now += 60
        assert await retention.sweep() == 10
        assert await rows(store) == (0, 0, 5)
        await fill(store, 3, ttl=1000)
        clock.now += 40
        assert await retention.sweep() == 5
        assert await rows(store) == (3, 3, 3)
        assert await store.inbox.has("1000.1") and not await store.inbox.has("60.1")


async def test_queues_events_and_the_outbox_keep_what_they_have(path: Path, clock: Clock) -> None:
    async with SqliteStore(path, clock=clock, retention=KEEP) as store:
        await store.queue("orders").put(b"1", Item(b"2", delay=1))
        await store.queue("orders").claim(1, 1)
        await store.outbox.put(b"1")
        await store.outbox.claim(1, 1)
        await store.events.append("a", [b"1"], 0)
        await store.events.save_snapshot("a", 1, b"1")
        clock.now += 10 * KEEP
        assert await Sweeper(store, KEEP).sweep() == 0
        assert len(await store.queue("orders").claim(9, 60)) == 2
        assert len(await store.outbox.claim(9, 60)) == 1
        assert await store.events.snapshot("a") is not None


async def test_much_is_deleted_in_small_steps(path: Path, clock: Clock) -> None:
    # ST-29
    watch = Watch()
    async with SqliteStore(path, clock=clock, retention=KEEP, connect=watch) as store:
        await fill(store, 2 * STEP + 10, ttl=60)
        clock.now += KEEP
        before = watch.done["COMMIT"]
        assert await Sweeper(store, KEEP).sweep() == 3 * (2 * STEP + 10)
        assert watch.done["COMMIT"] == before + 3
        assert await rows(store) == (0, 0, 0)


async def test_others_write_between_the_steps(path: Path, clock: Clock) -> None:
    async def sweep() -> None:
        await Sweeper(store, KEEP).sweep()
        ended.append("sweep")

    async def write() -> None:
        await store.cache.delete("none")
        ended.append("write")

    watch, ended = Watch(), list[str]()
    async with SqliteStore(path, clock=clock, retention=KEEP, connect=watch) as store:
        await fill(store, 4 * STEP, ttl=60)
        clock.now += KEEP
        async with anyio.create_task_group() as tasks, watch.holding():
            tasks.start_soon(sweep)
            await watch.stopped()
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
        assert ended == ["write", "sweep"]


async def test_an_open_store_sweeps_by_itself(path: Path, clock: Clock) -> None:
    # ST-29
    store = SqliteStore(path, clock=clock, retention=KEEP)
    store._sweeper = Sweeper(store, KEEP, interval=0.001)
    async with store:
        for _ in range(2):
            await fill(store, 3, ttl=60)
            clock.now += KEEP
            await empty(store)


async def test_an_error_is_logged_and_ends_neither_the_retention_nor_the_store(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch()
    store = SqliteStore(path, clock=clock, retention=KEEP, connect=watch)
    store._sweeper = Sweeper(store, KEEP, interval=0.001)
    with caplog.at_level(logging.ERROR, "modd.stores"):
        async with store:
            await fill(store, 3, ttl=60)
            watch.failures.append(("DELETE FROM modd_inbox", failed(sqlite3.SQLITE_IOERR)))
            clock.now += KEEP
            await empty(store)
    [record] = caplog.records
    assert record.name == "modd.stores"
    assert f"{path}: could not delete expired rows; trying again in 0.001 s" in record.getMessage()


async def test_it_ends_when_the_store_is_closed(path: Path) -> None:
    with anyio.fail_after(60):
        await Sweeper(SqliteStore(path), KEEP, interval=0).run()


async def test_a_store_that_is_left_does_not_wait_for_the_next_sweep(path: Path, clock: Clock) -> None:
    with anyio.fail_after(60):
        async with SqliteStore(path, clock=clock, retention=KEEP) as store:
            await fill(store, 3, ttl=60)


async def test_the_note_of_a_left_item_that_is_gone_is_deleted_when_it_is_due(path: Path, clock: Clock) -> None:
    # ST-29
    async with SqliteStore(path, clock=clock) as store:
        queue = store.queue("a")
        await queue.put(Item(b"", id="gone"), Item(b"", id="there"))
        for claim in await queue.claim(2, 60):
            await queue.leave(claim, "name", 50)
        await queue.cancel("gone")
        assert await Sweeper(store, KEEP).sweep() == 0
        clock.now += 51
        assert await Sweeper(store, KEEP).sweep() == 1
        [claim] = await queue.claim(9, 60)
        assert not await queue.leave(claim, "name", 50)
