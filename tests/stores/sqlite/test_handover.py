"""The moment in which a lock changes hands, and the mode of the journal with it."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import anyio
import pytest

from modd.ports.errors import StoreError
from modd.stores.sqlite import file_lock, sharing
from modd.stores.sqlite.errors import StoreBusy, StoreReadOnly
from modd.stores.sqlite.journal_mode import ALONE, SHARED
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import Disk, until
from tests.stores.sqlite.others import Other, affected

pytestmark = pytest.mark.anyio


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of several looks often whether it is alone."""
    monkeypatch.setattr(sharing, "ALONE_POLL", 0.02)
    monkeypatch.setattr(sharing, "RETRY", 0.02)


class Between:
    """Somebody comes between whenever a store's lock changes hands, until that is over."""

    def __init__(self, store: SqliteStore) -> None:
        self.is_over, self.refused = False, 0
        self._presence = store._sharing._presence
        assert self._presence is not None
        self._presence._lock = self.lock

    def lock(self, file: int, operation: int) -> None:
        if operation & file_lock.LOCK_SH and not self.is_over:
            file_lock.flock(file, file_lock.LOCK_UN)
            self.refused += 1
            raise BlockingIOError
        file_lock.flock(file, operation)


async def test_when_somebody_comes_between_nothing_is_written_until_all_share(path: Path) -> None:
    second = Other(path)
    async with affected(path) as first, second.tasks() as tasks:
        between = Between(first)
        tasks.start_soon(second.run)
        await until(lambda: second.opened)
        assert second.store.journal == ALONE
        tasks.start_soon(first.queue("a").put, b"1")
        await until(lambda: between.refused > 3)
        assert (await second.store.queue("a").stats()).ready == 0
        between.is_over = True
        await until(lambda: first.journal == SHARED)
        await first.queue("a").put(b"2")
        assert second.store.journal == SHARED
        assert (await second.store.queue("a").stats()).ready == 2


async def test_who_is_closed_before_it_shares_again_writes_nothing(path: Path) -> None:
    second = Other(path)
    errors: list[StoreError] = []

    async def put(store: SqliteStore) -> None:
        try:
            await store.queue("a").put(b"1")
        except StoreError as error:
            errors.append(error)

    async with second.tasks() as tasks:
        async with affected(path) as first:
            between = Between(first)
            tasks.start_soon(second.run)
            await until(lambda: second.opened)
            tasks.start_soon(put, first)
            await until(lambda: between.refused > 3)
        await until(lambda: bool(errors))
        assert (await second.store.queue("a").stats()).ready == 0


async def test_a_program_that_keeps_the_file_open_keeps_others_out(path: Path) -> None:
    async with affected(path) as first:
        await first.queue("a").put(b"1")
        stranger = sqlite3.connect(path)
        stranger.execute("SELECT * FROM modd_items").fetchall()
        with pytest.raises(StoreBusy):
            await affected(path, timeout=0.5).__aenter__()
        stranger.close()
        await until(lambda: first._readers.has_snapshots)
        assert first.journal == ALONE
        await first.queue("a").put(b"2")
        assert (await first.queue("a").stats()).ready == 2


@pytest.mark.usefixtures("soon")
async def test_what_fails_in_changing_the_mode_is_tried_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as first:
        disk.fail("PRAGMA query_only = ON", "SQLITE_ERROR")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_and_close, path)
            await until(lambda: "could not change the journal mode" in caplog.text)
            assert (await put_and_count(first)) == 1
            disk.fails.clear()
            disk.fail("PRAGMA journal_mode = wal", "SQLITE_IOERR")  # before the other store has closed
        await until(lambda: disk.statements.count("PRAGMA journal_mode = wal") > 3)
        assert first.journal == SHARED
        disk.fails.clear()
        await until(lambda: first.journal == ALONE)
        assert (await put_and_count(first)) == 2


async def open_and_close(path: Path) -> None:
    async with affected(path) as store:
        assert store.journal == SHARED


async def put_and_count(store: SqliteStore) -> int:
    await store.queue("a").put(b"1")
    async with store.transaction(immediate=True) as tx:
        [[count]] = await tx.fetch("SELECT count(*) FROM modd_items")
    return int(count)


@pytest.mark.usefixtures("soon")
async def test_while_the_disk_keeps_the_mode_from_being_changed_writing_is_refused_and_nobody_hangs(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk, second = Disk(), Other(path)
    async with SqliteStore(path, connect=disk.connect) as first, second.tasks() as tasks:
        disk.fail("PRAGMA journal_mode = truncate", "SQLITE_IOERR")
        tasks.start_soon(second.run)
        await until(lambda: "could not change the journal mode" in caplog.text)
        assert await put_and_count(first) == 1  # it is still alone
        disk.fails.clear()
        await until(lambda: second.opened)
        disk.fail("PRAGMA journal_mode = truncate", "SQLITE_IOERR")
        disk.statements.clear()
        await until(lambda: disk.statements.count("PRAGMA journal_mode = truncate") > 3)
        with pytest.raises(StoreReadOnly):
            await first.queue("a").put(b"1")
        disk.fails.clear()
        disk.statements.clear()
        await until(lambda: "PRAGMA query_only = OFF" in disk.statements)
        assert await put_and_count(first) == 2


@pytest.mark.usefixtures("soon")
async def test_where_others_are_in_the_way_or_there_is_no_wal_any_more_it_stays_as_it_is(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "modd.stores")
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as first:
        async with affected(path):
            disk.fail("PRAGMA journal_mode = truncate", "SQLITE_BUSY")
            await until(lambda: caplog.text.count("other connections prevent the journal mode truncate") > 1)
            disk.fails.clear()
            assert await put_and_count(first) == 1
        disk.changes["PRAGMA journal_mode = wal"] = "PRAGMA journal_mode"
        await until(lambda: disk.statements.count("PRAGMA journal_mode = wal") > 3)
        assert await put_and_count(first) == 2
        assert first.journal == SHARED
