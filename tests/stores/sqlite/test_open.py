"""What goes wrong when a file is opened; what is no store of this modd is left as it is."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from modd.errors import AlreadyOpen
from modd.ports.errors import StoreError
from modd.stores.errors import NewerStore, StoreBusy
from modd.stores.sqlite.errors import (
    NotAStore,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
)
from modd.stores.sqlite.file_lock import translate_os_error
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import Disk, by_uri, files_beside, store_threads, until

pytestmark = pytest.mark.anyio


async def opening(path: Path, **options: object) -> StoreError:
    """The error that opening the file raises."""
    store = SqliteStore(path, **options)  # type: ignore[arg-type]
    with pytest.raises(StoreError) as raised:
        await store.__aenter__()
    assert raised.value.store == str(path)
    assert str(raised.value).startswith(f"{path}: ")
    return raised.value


async def test_a_folder_has_to_be_there(path: Path) -> None:
    error = await opening(path / "none" / "store.db")
    assert isinstance(error, StoreReadOnly)
    assert "its folder must exist" in str(error)


@pytest.mark.parametrize(
    "content", [b"Dear diary, " * 1_000, b"short", bytes(4_096), b"SQLite format 3\0" + b"\xff" * 5_000]
)
async def test_a_file_that_is_something_else_is_left_as_it_is(path: Path, content: bytes) -> None:
    # ST-24
    path.write_bytes(content)  # noqa: ASYNC240
    assert isinstance(await opening(path), NotAStore | StoreCorrupt | StoreFailed)
    assert path.read_bytes() == content  # noqa: ASYNC240
    assert files_beside(path) == {""}


async def test_a_file_of_a_newer_modd_is_left_as_it_is(path: Path) -> None:
    # ST-24
    async with SqliteStore(path) as store, store.transaction() as tx:
        await tx.execute("UPDATE modd_store SET version = 99")
    content = path.read_bytes()  # noqa: ASYNC240
    error = await opening(path)
    assert isinstance(error, NewerStore)
    assert error.version == 99
    assert "has schema version 99" in str(error)
    assert "upgrade modd" in str(error)
    assert path.read_bytes() == content  # noqa: ASYNC240
    assert files_beside(path) == {"", "-modd-turn"}


async def test_a_file_that_cannot_be_written_is_told_at_once(path: Path) -> None:
    # ST-26
    async with SqliteStore(path):
        pass
    assert isinstance(await opening(path, connect=by_uri("mode=ro")), StoreReadOnly)


async def test_a_folder_that_cannot_be_written_is_told_at_once(path: Path) -> None:
    Path(f"{path}-modd-turn").mkdir()  # noqa: ASYNC240  # so that nobody can make a file of that name
    error = await opening(path)
    assert isinstance(error, StoreReadOnly)
    assert "-modd-turn" in str(error)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreFailed), (errno.EACCES, StoreReadOnly)],
)
def test_what_the_system_says_is_told_as_what_it_is(number: int, kind: type[StoreError]) -> None:
    assert type(translate_os_error("store.db", OSError(number, "as told"))) is kind


@pytest.mark.parametrize("step", ["SELECT", "PRAGMA synchronous", "PRAGMA journal_mode", "BEGIN", "CREATE", "COMMIT"])
async def test_what_fails_in_opening_leaves_nothing_open(path: Path, step: str) -> None:
    disk = Disk()
    disk.fail(step, "SQLITE_IOERR")
    assert isinstance(await opening(path, connect=disk.connect), StoreFailed)
    await until(lambda: store_threads() == [])
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")
        assert store.journal.mode == "wal"


async def test_a_file_that_another_program_keeps_locked_is_told_after_the_timeout(path: Path) -> None:
    async with SqliteStore(path, timeout=0.05) as store:
        await store.queue("a").put(b"1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="look for a program that has a transaction open"):
            await store.queue("a").put(b"2")
        other.close()
        await store.queue("a").put(b"2")
        assert (await store.queue("a").stats()).ready == 2


async def test_a_store_is_opened_once(path: Path) -> None:
    async with SqliteStore(path) as store:
        with pytest.raises(AlreadyOpen):
            await store.__aenter__()
