"""Several processes on one file."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from modd.stores.sqlite import file_lock, sharing, write_turns
from modd.stores.sqlite.journal_mode import ALONE
from modd.stores.sqlite.opening import connect_file
from modd.stores.sqlite.store import SqliteStore
from modd.stores.sqlite.write_turns import WriteTurns
from tests.stores.sqlite.faulty import has_wal, mode_in_header
from tests.stores.sqlite.program import ITEMS, TASKS, put_and_stay, start, wait_for_end, work

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_four_processes_share_the_work(path: Path, anyio_backend: str) -> None:
    processes = [start(work, path, anyio_backend) for _ in range(4)]
    told = [json.loads(wait_for_end(process)) for process in processes]
    done = [each for one in told for each in one["done"]]
    assert len(done) == len(set(done)) == 4 * TASKS * ITEMS
    async with SqliteStore(path) as store:
        assert await store.queue("a").claim(1, 60) == []


async def test_a_process_that_is_killed_keeps_nobody_out_and_loses_nothing(path: Path, anyio_backend: str) -> None:
    process = start(put_and_stay, path, anyio_backend)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "put\n"
        process.kill()
    assert has_wal(path)
    async with SqliteStore(path) as store:
        assert store.journal == ALONE
        assert (await store.queue("a").stats()).ready == 1


async def test_a_process_is_let_in_by_one_that_is_alone(
    path: Path, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "ALONE_POLL", 3600)  # it does not notice that it is left alone
    process = start(put_and_stay, path, anyio_backend)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "put\n"
        async with SqliteStore(path) as store:
            assert store.journal.mode == "truncate"
            await store.queue("a").put(b"2")
            process.kill()
            process.wait()
            assert (await store.queue("a").stats()).ready == 2
    assert mode_in_header(path) == 1


def test_who_waits_for_a_turn_looks_for_it_every_millisecond_however_long_that_takes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ST-22
    path.touch()
    held, turns = file_lock.FileLock(f"{path}-modd-turn", str(path)), WriteTurns(str(path), timeout=60)
    assert held.try_exclusive()
    pauses = list[float]()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3000:
            held.close()

    monkeypatch.setattr(write_turns, "sleep", pause)
    with closing(connect_file(str(path))) as connection:
        assert turns.run(lambda connection: "done", connection) == "done"
    assert len(pauses) == 3000 and max(pauses) < 0.002
    turns.close()


def test_a_turn_is_waited_for_no_longer_than_the_timeout(path: Path) -> None:
    path.touch()
    held, turns = file_lock.FileLock(f"{path}-modd-turn", str(path)), WriteTurns(str(path), timeout=0.05)
    assert held.try_exclusive()
    connection = SqliteStore(path)._connect(str(path))
    assert turns.run(lambda connection: connection.in_transaction, connection) is False
    held.close()
    connection.execute("BEGIN IMMEDIATE")
    assert turns.run(lambda connection: connection.in_transaction, connection) is True
    connection.close()
    turns.close()
