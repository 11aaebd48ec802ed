"""Several stores of one file: they write in turns, and none keeps another from being opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from modd.stores.errors import StoreBusy
from modd.stores.sqlite import write_turns
from modd.stores.sqlite.file_lock import FileLock
from modd.stores.sqlite.opening import connect_file
from modd.stores.sqlite.sql import Connection
from modd.stores.sqlite.write_turns import TURN_FILE, WriteTurns
from tests.stores.sqlite.faulty import has_wal
from tests.stores.sqlite.others import affected

pytestmark = pytest.mark.anyio


@contextmanager
def turn_taken(path: Path) -> Iterator[FileLock]:
    """Have the turn for the block, as another process that writes."""
    path.touch()
    lock = FileLock(f"{path}{TURN_FILE}", str(path))
    assert lock.try_exclusive()
    yield lock
    lock.close()


async def test_two_stores_see_each_others_writes(path: Path) -> None:
    # ST-21
    async with affected(path) as first, affected(path) as second:
        for number in range(20):
            await (first, second)[number % 2].queue("a").put(b"%d" % number)
        claims = [*await first.queue("a").claim(10, 60), *await second.queue("a").claim(10, 60)]
        assert sorted(int(claim.body) for claim in claims) == [*range(20)]
        assert has_wal(path)


async def test_a_store_is_opened_beside_a_block_that_has_read(path: Path) -> None:
    # DR-80
    async with affected(path, timeout=0.1) as first, first.transaction() as tx:
        assert await tx.fetch("SELECT count(*) FROM modd_items") == [(0,)]
        async with affected(path, timeout=0.1) as second:
            await second.queue("a").put(b"1")
        assert await tx.fetch("SELECT count(*) FROM modd_items") == [(0,)]


async def test_a_store_is_opened_beside_a_program_that_has_the_file_open(path: Path) -> None:
    # DR-80
    async with affected(path, timeout=0.1) as first:
        await first.queue("a").put(b"1")
        shell = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        assert shell.execute("SELECT count(*) FROM modd_items").fetchall() == [(1,)]
        async with affected(path, timeout=0.1) as second:
            await second.queue("a").put(b"2")
        assert shell.execute("SELECT count(*) FROM modd_items").fetchall() == [(2,)]
        shell.close()


async def test_nothing_is_written_without_a_turn(path: Path) -> None:
    # DR-81
    async with affected(path, timeout=0.05) as store:
        with turn_taken(path), pytest.raises(StoreBusy, match="writers take turns"):
            await store.queue("a").put(b"1")
        assert (await store.queue("a").stats()).ready == 0
        await store.queue("a").put(b"2")
        assert (await store.queue("a").stats()).ready == 1


async def test_reads_need_no_turn(path: Path) -> None:
    async with affected(path) as store:
        with turn_taken(path):
            assert (await store.queue("a").stats()).ready == 0


async def test_an_immediate_transaction_is_one_turn(path: Path) -> None:
    # DR-81
    async with affected(path) as first, affected(path, timeout=0.05) as second:
        async with first.transaction(immediate=True):
            await first.queue("a").put(b"1")
            with pytest.raises(StoreBusy):
                await second.queue("a").put(b"2")
        await second.queue("a").put(b"3")
        assert [claim.body for claim in await second.queue("a").claim(9, 60)] == [b"1", b"3"]


def test_a_turn_lasts_as_long_as_the_transaction(path: Path) -> None:
    # DR-81
    path.touch()
    turns, connection = WriteTurns(str(path), 0.05), connect_file(str(path))
    other = FileLock(f"{path}{TURN_FILE}", str(path))

    def execute(sql: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(sql)

        turns.run(work, connection)

    execute("SELECT 1")
    assert other.try_exclusive()
    other.unlock()
    execute("BEGIN IMMEDIATE")
    execute("CREATE TABLE t (a)")
    assert not other.try_exclusive()
    execute("COMMIT")
    assert other.try_exclusive()
    connection.close()
    turns.close()
    other.close()


def test_a_process_that_waits_for_a_turn_looks_for_it_every_millisecond_however_long_that_takes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ST-22
    pauses = list[float]()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3000:
            held.unlock()

    monkeypatch.setattr(write_turns, "sleep", pause)
    with turn_taken(path) as held, closing(connect_file(str(path))) as connection:
        turns = WriteTurns(str(path), timeout=60)
        assert turns.run(lambda connection: "done", connection) == "done"
    assert len(pauses) == 3000 and max(pauses) < 0.002
    turns.close()


async def test_many_tasks_of_two_stores_all_get_their_turns(path: Path) -> None:
    async def put(number: int) -> None:
        await stores[number % 2].queue("a").put(b"1")

    async with affected(path) as first, affected(path) as second:
        stores = (first, second)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(put, number)
        assert (await first.queue("a").stats()).ready == 100
