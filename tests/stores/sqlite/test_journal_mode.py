"""The journal mode of a file: WAL where that is safe, and TRUNCATE where it is not."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from modd.stores.errors import NotDurable, StoreClosed
from modd.stores.sqlite import file_lock
from modd.stores.sqlite.journal_mode import NO_LOCKS, NO_WAL, SAFE, TURNS, is_affected, set_mode
from modd.stores.sqlite.opening import connect_file
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import Disk, by_uri, files_beside, has_wal, of_version

pytestmark = pytest.mark.anyio

AFFECTED, REPAIRED = "3.51.2", "3.51.3"


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        *[(version, True) for version in ("3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.50.6", "3.51.0", AFFECTED)],
        *[(version, False) for version in ("3.6.23", "3.44.6", "3.44.7", "3.50.7", REPAIRED, "3.52.0", "4.0.0")],
    ],
)
def test_wal_is_unsafe_for_several_in_some_versions_of_sqlite(version: str, affected: bool) -> None:
    assert is_affected(version) is affected


async def test_several_stores_with_an_sqlite_that_can_damage_a_wal_take_turns(path: Path) -> None:
    # ST-21
    connect = of_version(AFFECTED)
    async with SqliteStore(path, connect=connect) as first, SqliteStore(path, connect=connect) as second:
        await first.queue("a").put(b"1")
        await second.queue("a").put(b"2")
        assert first.journal == second.journal == TURNS
        assert str(first.journal).startswith("wal: stores write one after another")
        assert has_wal(path)
        assert [claim.body for claim in await first.queue("a").claim(9, 60)] == [b"1", b"2"]
    assert files_beside(path) == {"", "-modd-turn"}


async def test_the_journal_is_told_while_the_store_is_open(path: Path) -> None:
    with pytest.raises(StoreClosed):
        _ = SqliteStore(path).journal


async def test_only_the_connection_that_writes_writes_and_checkpoints(path: Path) -> None:
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store:
        await store.queue("a").put(b"1")
        disk.statements.clear()
        await store.queue("a").stats()
    assert disk.statements[:3] == [
        "PRAGMA busy_timeout = 10000",
        "PRAGMA wal_autocheckpoint = 0",
        "PRAGMA query_only = ON",
    ]


async def test_a_repaired_sqlite_uses_wal_with_several(path: Path) -> None:
    # ST-21
    connect = of_version(REPAIRED)
    async with SqliteStore(path, connect=connect) as first, SqliteStore(path, connect=connect) as second:
        await first.queue("a").put(b"1")
        await second.queue("a").put(b"2")
        assert first.journal == second.journal == SAFE
        assert (await first.queue("a").stats()).ready == 2


async def test_what_cannot_be_locked_is_not_written_with_wal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "fcntl", None)
    async with SqliteStore(path) as first, SqliteStore(path) as second:
        await first.queue("a").put(b"1")
        await second.queue("a").put(b"2")
        assert first.journal == second.journal == NO_LOCKS
        assert (await first.queue("a").stats()).ready == 2


async def test_a_file_system_without_wal_is_enough(path: Path) -> None:
    async with SqliteStore(path, connect=by_uri("vfs=unix-dotfile")) as store:
        await store.queue("a").put(b"1")
        assert store.journal == NO_WAL
        assert (await store.queue("a").stats()).ready == 1


def test_there_are_systems_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = importlib.util.spec_from_file_location("presence_elsewhere", file_lock.__file__)
    assert spec is not None and spec.loader is not None
    elsewhere = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(elsewhere)
    path.touch()
    lock = elsewhere.FileLock(f"{path}-lock", str(path))
    assert not lock.works()
    lock.close()


async def test_there_are_systems_where_a_folder_needs_no_sync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")


async def test_every_commit_waits_for_the_disk(path: Path) -> None:
    # ST-20
    async with SqliteStore(path, timeout=2.5) as store, store.transaction(immediate=True) as tx:
        assert await tx.fetch("PRAGMA synchronous") == [(2,)]
        assert await tx.fetch("PRAGMA busy_timeout") == [(2500,)]


async def test_a_connection_that_does_not_wait_for_the_disk_is_refused(path: Path) -> None:
    # ST-20
    disk = Disk()
    disk.changes["PRAGMA synchronous = FULL"] = "PRAGMA synchronous = NORMAL"
    with pytest.raises(NotDurable, match=r"store\.db: PRAGMA synchronous is 1 here .* needs 2 \(FULL\)"):
        await SqliteStore(path, connect=disk.connect).__aenter__()


def test_a_mode_that_cannot_be_set_beside_another_connection_is_tried_again_until_patience_ends(path: Path) -> None:
    with closing(connect_file(str(path))) as first, closing(connect_file(str(path))) as second:
        first.execute("PRAGMA busy_timeout = 0")
        second.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            set_mode(first, "wal", 0.05)
        second.execute("ROLLBACK")
        assert set_mode(first, "wal", 0.05) == "wal"
