"""The WAL stays short beside transactions that read, and overlap without end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskStatus

from modd.stores.sqlite import log_limit
from modd.stores.sqlite.journal_mode import LOG_SIZE
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import Disk, until

pytestmark = pytest.mark.anyio


CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"


class Readers:
    """Transactions that read, of which one is always open."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self.is_over, self.rounds = store, False, 0

    async def run(self, number: int) -> None:
        """Read and let go, when the next one has begun to read."""
        while not self.is_over:
            async with self._store.transaction() as tx:
                await tx.fetch("SELECT count(*) FROM modd_items")
                self.rounds += 1
                await self._next_one_has_begun(self.rounds)

    async def _next_one_has_begun(self, before: int) -> None:
        with anyio.move_on_after(0.05):
            await until(lambda: self.rounds > before or self.is_over)


def wal(path: Path) -> int:
    return os.path.getsize(f"{path}-wal")


async def write(store: SqliteStore, megabytes: int) -> int:
    """Put and acknowledge, and return the most bytes that the WAL had."""
    queue, most = store.queue("a"), 0
    for _ in range(megabytes):
        await queue.put(bytes(1_000_000))
        [claim] = await queue.claim(1, 60)
        await queue.ack(claim)
        most = max(most, wal(Path(store.name)))
    return most


@pytest.mark.slow
async def test_beside_transactions_that_overlap_without_end_the_wal_stays_short(path: Path) -> None:
    # DR-82
    async with SqliteStore(path) as store:
        readers, most = Readers(store), 0
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(readers.run, number)
            most = await write(store, 60)
            readers.is_over = True
        assert most <= 16 * 2**20
        for _ in range(60):  # how soon a commit begins it anew depends on when its checkpoint ran
            if wal(path) > LOG_SIZE:
                await write(store, 1)
        assert wal(path) <= LOG_SIZE


class Beside:
    """A transaction that has read, and one that begins to read when the WAL has grown."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self.let_go, self.counts = store, anyio.Event(), list[int]()

    async def hold(self, *, task_status: TaskStatus[None]) -> None:
        async with self._store.transaction() as tx:
            before = await tx.fetch("SELECT count(*) FROM modd_items")
            task_status.started()
            await self.let_go.wait()
            assert await tx.fetch("SELECT count(*) FROM modd_items") == before

    async def read(self) -> None:
        async with self._store.transaction() as tx:
            [[count]] = await tx.fetch("SELECT count(*) FROM modd_items")
        self.counts.append(count)


async def test_a_new_snapshot_waits_for_the_open_ones_when_the_wal_is_long(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # DR-82
    monkeypatch.setattr(log_limit, "LIMIT", 0)
    monkeypatch.setattr(log_limit, "MOMENT", 60.0)
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store, anyio.create_task_group() as tasks:
        beside, queue = Beside(store), store.queue("a")
        await queue.put(b"1")  # this commits the queue by itself
        await tasks.start(beside.hold)
        await queue.put(b"2")
        before = disk.statements.count(CHECKPOINT)
        tasks.start_soon(beside.read)
        await anyio.wait_all_tasks_blocked()
        assert not beside.counts
        beside.let_go.set()
        await until(lambda: beside.counts == [2])
        assert disk.statements.count(CHECKPOINT) == before + 1


async def test_it_waits_a_moment_only_and_then_not_again_for_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_limit, "LIMIT", 0)
    monkeypatch.setattr(log_limit, "MOMENT", 0.01)
    monkeypatch.setattr(log_limit, "PAUSE", 1000.0)
    async with SqliteStore(path) as store, anyio.create_task_group() as tasks:
        beside, queue = Beside(store), store.queue("a")
        await queue.put(b"1")  # this commits the queue by itself
        await tasks.start(beside.hold)
        await queue.put(b"2")
        await beside.read()
        monkeypatch.setattr(log_limit, "MOMENT", 1000.0)
        await queue.put(b"3")
        await beside.read()
        assert beside.counts == [2, 3]
        beside.let_go.set()


async def test_a_wal_that_cannot_be_copied_keeps_nobody_from_reading(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_limit, "LIMIT", 0)
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store:
        disk.fail(CHECKPOINT, "SQLITE_IOERR")
        await store.queue("a").put(b"1")
        beside = Beside(store)
        await beside.read()
        assert beside.counts == [1]


async def test_without_a_wal_no_snapshot_waits(path: Path) -> None:
    log = log_limit.LogLimit(str(path), cast(Any, "nobody writes"))
    with anyio.fail_after(60):
        async with log.count():
            log.check()
            async with log.count():
                assert not path.exists()  # noqa: ASYNC240
