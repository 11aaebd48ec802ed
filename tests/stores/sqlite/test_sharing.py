"""Several that use one file with an SQLite of which the WAL is for one alone."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd.ports import ReadConflict
from modd.stores.sqlite import sharing
from modd.stores.sqlite.errors import StoreBusy
from modd.stores.sqlite.journal_mode import ALONE, SHARED
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import Disk, has_wal, until
from tests.stores.sqlite.others import Other, affected, create_presence

pytestmark = pytest.mark.anyio


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of several looks often whether it is alone."""
    monkeypatch.setattr(sharing, "ALONE_POLL", 0.02)


async def test_with_two_both_use_truncate_and_see_what_the_other_writes(path: Path) -> None:
    # ST-21
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
    # ST-21
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
            await until(lambda: not first._readers.has_snapshots)
            for _ in range(20):  # who writes, and who waits for that in the transaction, goes on
                await first.cache.set("a", b"1", 60)
            assert await tx.fetch("SELECT count(*) FROM modd_items") == [(1,)]
            assert not second.opened
        await until(lambda: second.opened)


async def test_with_several_a_transaction_keeps_nobody_from_writing(path: Path) -> None:
    # ST-11
    async def read_before_and_after_a_put() -> None:
        async with first.transaction() as tx:
            assert await tx.fetch("SELECT count(*) FROM modd_items") == [(0,)]
            await second.queue("a").put(b"1")
            assert await tx.fetch("SELECT count(*) FROM modd_items") == [(1,)]

    async with affected(path) as first, affected(path) as second:
        with pytest.raises(ReadConflict):
            await read_before_and_after_a_put()


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
    alone = create_presence(path)
    assert alone.try_exclusive()
    with pytest.raises(
        StoreBusy, match=r"store\.db: another process keeps the file locked \(the process that has it alone"
    ):
        await affected(path, timeout=0.1).__aenter__()
    alone.close()
    async with affected(path) as store:  # that somebody knocked and has gone is forgotten
        assert store.journal == ALONE
    alone = create_presence(path)
    assert not alone.is_knocked()
    alone.close()


async def test_who_shares_a_file_that_a_crash_left_in_wal_puts_it_in_order(path: Path) -> None:
    async with affected(path) as store:
        await store.queue("a").put(b"1")
    other, disk = create_presence(path), Disk()
    assert other.try_shared()

    async def leave_when_waited_for() -> None:
        await until(lambda: disk.statements.count("PRAGMA journal_mode") > 3)
        other.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave_when_waited_for)
        async with SqliteStore(path, connect=disk.connect) as store:
            assert store.journal == ALONE
