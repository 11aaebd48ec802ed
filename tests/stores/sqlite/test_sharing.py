"""Several that use one file with an SQLite of which the WAL is for one alone."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskGroup

from modd.ports.errors import StoreError
from modd.stores.sqlite import presence, sharing
from modd.stores.sqlite.errors import StoreBusy
from modd.stores.sqlite.journal import ALONE, SHARED
from modd.stores.sqlite.presence import Presence
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import Disk, has_wal, of_version, until

pytestmark = pytest.mark.anyio

affected = partial(SqliteStore, connect=of_version("3.40.1"))


class Other:
    """A store that another task opens, and closes when the block of `tasks` ends."""

    def __init__(self, path: Path) -> None:
        self.store, self.opened = affected(path), False
        self._over = anyio.Event()

    @asynccontextmanager
    async def tasks(self) -> AsyncIterator[TaskGroup]:
        async with anyio.create_task_group() as tasks:
            yield tasks
            self._over.set()

    async def run(self) -> None:
        async with self.store:
            self.opened = True
            await self._over.wait()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of several looks often whether it is alone."""
    monkeypatch.setattr(sharing, "RETRY", 0.02)


async def test_with_two_both_use_truncate_and_see_what_the_other_writes(path: Path) -> None:
    async with affected(path) as first:
        await first.queue("a").put(b"1")
        async with affected(path) as second:
            assert first.journal == second.journal == SHARED
            assert not has_wal(path)
            await first.queue("a").put(b"2")
            await second.queue("a").put(b"3")
            assert [claim.body for claim in await first.queue("a").claim(9, 60)] == [b"1", b"2", b"3"]
            async with affected(path) as third:
                assert third.journal == SHARED
                assert (await third.queue("a").stats()).leased == 3


@pytest.mark.usefixtures("soon")
async def test_who_is_left_alone_goes_back_to_wal(path: Path) -> None:
    async with affected(path) as first:
        async with affected(path) as second:
            await second.queue("a").put(b"1")
        await until(lambda: first.journal == ALONE)
        await first.queue("a").put(b"2")
        assert has_wal(path)
        assert [claim.body for claim in await first.queue("a").claim(9, 60)] == [b"1", b"2"]


@pytest.mark.usefixtures("soon")
async def test_two_that_look_often_whether_they_are_alone_stay_two(path: Path) -> None:
    async with affected(path) as first, affected(path) as second:
        for number in range(40):
            await (first, second)[number % 2].queue("a").put(b"1")
            await anyio.sleep(0.005)
            assert not has_wal(path)
        assert (await first.queue("a").stats()).ready == 40


async def test_a_snapshot_is_read_to_its_end_before_another_is_let_in(path: Path) -> None:
    second = Other(path)
    async with affected(path) as first, second.tasks() as tasks:
        await first.queue("a").put(b"1")
        async with first.transaction() as tx:
            assert await tx.fetch("SELECT count(*) FROM modd_items") == [(1,)]
            tasks.start_soon(second.run)
            await until(lambda: not first._readers.snapshots)
            for _ in range(20):  # who writes, and who waits for that in the transaction, goes on
                await first.cache.set("a", b"1", 60)
            assert await tx.fetch("SELECT count(*) FROM modd_items") == [(1,)]
            assert not second.opened
        await until(lambda: second.opened)


async def test_with_several_a_transaction_keeps_nobody_from_writing(path: Path) -> None:
    async with affected(path) as first, affected(path) as second, first.transaction() as tx:
        assert await tx.fetch("SELECT count(*) FROM modd_items") == [(0,)]
        await second.queue("a").put(b"1")
        assert await tx.fetch("SELECT count(*) FROM modd_items") == [(1,)]


async def test_others_read_and_write_while_one_is_let_in(path: Path) -> None:
    async with affected(path) as first:
        queue = first.queue("a")
        done = False

        async def work() -> None:
            while not done:
                await queue.put(b"1")
                await queue.stats()

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(work)
            async with affected(path) as second:
                assert first.journal == second.journal == SHARED
                done = True


async def test_one_who_does_not_let_others_in_is_told_of(path: Path) -> None:
    alone = present(path)
    assert alone.alone()
    with pytest.raises(StoreBusy, match=r"store\.db: another process keeps the file locked \(the one who has it alone"):
        await affected(path, timeout=0.1).__aenter__()
    alone.close()
    async with affected(path) as store:  # that somebody knocked and has gone is forgotten
        assert store.journal == ALONE
    alone = present(path)
    assert not alone.is_asked()
    alone.close()


def present(path: Path) -> Presence:
    path.touch()
    return Presence(str(path))


async def test_who_shares_a_file_that_a_crash_left_in_wal_puts_it_in_order(path: Path) -> None:
    async with affected(path) as store:
        await store.queue("a").put(b"1")
    other, disk = present(path), Disk()
    assert other.together()

    async def leave_when_waited_for() -> None:
        await until(lambda: disk.statements.count("PRAGMA journal_mode") > 3)
        other.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave_when_waited_for)
        async with SqliteStore(path, connect=disk.connect) as store:
            assert store.journal == ALONE


class Between:
    """Somebody comes between whenever a store's lock changes hands, until that is over."""

    def __init__(self, store: SqliteStore) -> None:
        self.is_over, self.refused = False, 0
        self._presence = store._sharing._presence
        assert self._presence is not None
        self._presence._lock = self.lock

    def lock(self, file: int, operation: int) -> None:
        if operation & presence.LOCK_SH and not self.is_over:
            presence.flock(file, presence.LOCK_UN)
            self.refused += 1
            raise BlockingIOError
        presence.flock(file, operation)


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
        await until(lambda: first._readers.snapshots)
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
        disk.fail("PRAGMA journal_mode = wal", "SQLITE_IOERR")
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
    async with store.transaction(own_writes=True) as tx:
        [[count]] = await tx.fetch("SELECT count(*) FROM modd_items")
    return int(count)
