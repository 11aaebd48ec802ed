"""What goes wrong while a store is used: each is a typed error that names the file, and it goes on afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from modd.ports.errors import StoreError
from modd.stores.errors import StoreBusy
from modd.stores.sqlite.errors import NotAStore, StoreCorrupt, StoreFailed, StoreFull, StoreReadOnly
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import Disk, damage
from tests.stores.sqlite.program import quota, start, wait_for_end

pytestmark = pytest.mark.anyio

KINDS = {
    "SQLITE_BUSY": StoreBusy,
    "SQLITE_LOCKED": StoreBusy,
    "SQLITE_BUSY_SNAPSHOT": StoreBusy,
    "SQLITE_FULL": StoreFull,
    "SQLITE_IOERR": StoreFailed,
    "SQLITE_IOERR_FSYNC": StoreFailed,
    "SQLITE_IOERR_SHORT_READ": StoreFailed,
    "SQLITE_READONLY": StoreReadOnly,
    "SQLITE_CORRUPT": StoreCorrupt,
    "SQLITE_NOTADB": NotAStore,
}


async def put_all(store: SqliteStore, bodies: list[bytes]) -> list[StoreError]:
    """Put each from a task of its own, at the same time; the errors."""
    errors: list[StoreError] = []

    async def put(body: bytes) -> None:
        try:
            await store.queue("a").put(body)
        except StoreError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for body in bodies:
            tasks.start_soon(put, body)
    return errors


@pytest.mark.costly
@pytest.mark.parametrize("step", ["BEGIN", "INSERT INTO modd_items", "COMMIT"])
@pytest.mark.parametrize("name", KINDS)
async def test_all_callers_of_a_batch_that_failed_are_told_and_it_goes_on(path: Path, name: str, step: str) -> None:
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store:
        await store.queue("a").put(b"1")
        disk.fail(step, name)
        errors = await put_all(store, [b"lost"] * 5)
        assert [type(error) for error in errors] == [KINDS[name]] * 5
        assert len(set(map(id, errors))) == 5
        assert all(str(error).startswith(f"{path}: ") and name in str(error) for error in errors)
        disk.fails.clear()
        assert await put_all(store, [b"2"]) == []
        assert [claim.body for claim in await store.queue("a").claim(9, 60)] == [b"1", b"2"]


async def test_it_goes_on_when_even_the_rollback_failed(path: Path) -> None:
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store:
        await store.queue("a").put(b"1")
        disk.fail("COMMIT", "SQLITE_IOERR")
        disk.fail("ROLLBACK", "SQLITE_IOERR")
        assert len(await put_all(store, [b"lost"] * 3)) == 3
        disk.fails.clear()
        assert await put_all(store, [b"2"]) == []
        assert [claim.body for claim in await store.queue("a").claim(9, 60)] == [b"1", b"2"]


@pytest.mark.parametrize("name", KINDS)
async def test_who_reads_is_told_and_can_read_again(path: Path, name: str) -> None:
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store:
        await store.queue("a").put(b"1")
        disk.fail("SELECT", name)
        with pytest.raises(KINDS[name], match=name):
            await store.queue("a").stats()
        disk.fails.clear()
        assert (await store.queue("a").stats()).ready == 1


async def test_a_read_in_a_transaction_tells_that_the_file_was_moved(path: Path) -> None:
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store, store.transaction() as tx:
        disk.fail("SELECT", "SQLITE_READONLY_DBMOVED")
        with pytest.raises(StoreReadOnly, match="SQLITE_READONLY_DBMOVED"):
            await tx.fetch("SELECT 1")
        disk.fails.clear()
        assert await tx.fetch("SELECT 1") == [(1,)]


async def test_a_full_disk_loses_nothing_and_it_goes_on_when_there_is_space(path: Path) -> None:
    # ST-25
    async with SqliteStore(path) as store:
        await limit_pages(store, 60)
        put = 0
        while not (errors := await put_all(store, [bytes(5_000)] * 3)):
            put += 3
        assert [type(error) for error in errors] == [StoreFull] * 3
        assert (await store.queue("a").stats()).ready == put > 0
        await limit_pages(store, 1_000)
        assert await put_all(store, [bytes(5_000)] * 3) == []
        assert (await store.queue("a").stats()).ready == put + 3


async def limit_pages(store: SqliteStore, pages: int) -> None:
    async with store.transaction(immediate=True) as tx:
        await tx.fetch(f"PRAGMA max_page_count = {pages}")


@pytest.mark.slow
async def test_a_file_that_may_grow_no_more_loses_nothing_and_goes_on_when_it_may(
    path: Path, anyio_backend: str
) -> None:
    told = json.loads(wait_for_end(start(quota, path, anyio_backend)))
    assert told["error"] in ("StoreFull", "StoreFailed")
    assert told["ready"] == [told["put"], told["put"] + 1]


async def test_damage_is_told_with_what_to_do(path: Path) -> None:
    # ST-26
    async with SqliteStore(path) as store:
        await store.queue("a").put(*[bytes(1_000)] * 200)
    damage(path)
    async with SqliteStore(path) as store:
        with pytest.raises(
            StoreCorrupt, match=r"store\.db: the file is damaged .* stop the processes that use it, copy it"
        ):
            await store.queue("a").claim(100, 60)
        with pytest.raises(StoreCorrupt):
            await store.queue("a").stats()
        await store.cache.set("a", b"1", 60)  # what lies elsewhere is not damaged
        assert await store.cache.get("a") == b"1"
