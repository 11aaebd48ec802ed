"""No id is given twice, even if the clock is set back."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from modd.stores.sqlite import positions
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.faulty import Disk

pytestmark = pytest.mark.anyio


class Stopped:
    """The time in nanoseconds since 1970, as told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Stopped:
    stopped = Stopped()
    monkeypatch.setattr(positions, "time_ns", stopped)
    return stopped


async def put_and_ack(store: SqliteStore, queue: str = "a") -> str:
    [result] = await store.queue(queue).put(b"1")
    await store.queue(queue).ack(*await store.queue(queue).claim(1, 60))
    return result.id


async def test_ids_do_not_come_again_when_the_clock_is_set_back_and_nothing_waits(path: Path, time: Stopped) -> None:
    async with SqliteStore(path) as store:
        ids = []
        for queue in ("a", "b", "a"):
            ids += [await put_and_ack(store, queue), await put_and_ack(store, queue)]
            time.now -= 3_000_000_000
    assert len(set(ids)) == 6


async def test_they_do_not_come_again_when_the_file_is_opened_again(path: Path, time: Stopped) -> None:
    store = SqliteStore(path)
    ids = []
    for each in (store, store, SqliteStore(path)):
        async with each:
            ids += [await put_and_ack(each), await put_and_ack(each)]
        time.now -= 1000
    assert len(set(ids)) == 6


async def test_an_item_that_is_put_back_has_a_place_that_nobody_gets_again(path: Path) -> None:
    async with SqliteStore(path) as store:
        queue = store.queue("a")
        [result] = await queue.put(b"1")
        [claim] = await queue.claim(1, 60)
        await queue.bury(claim, "no")
        await queue.redrive(result.id)
        await queue.ack(*await queue.claim(1, 60))
        assert claim.token.partition(".")[0] < (await queue.put(b"2"))[0].id[12:]


async def test_closing_writes_nothing_when_nothing_was_put(path: Path) -> None:
    for puts, commits in ((0, 0), (1, 1), (0, 0)):
        watch = Watch()
        async with SqliteStore(path, connect=watch) as store:
            await store.cache.set("k", b"1", 60)
            if puts:
                await put_and_ack(store)
            before = watch.done["COMMIT"]
        assert watch.done["COMMIT"] - before == commits


async def test_a_disk_that_fails_then_is_logged_and_keeps_no_store_from_closing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk()
    with caplog.at_level(logging.ERROR, "modd.stores"):
        async with SqliteStore(path, connect=disk.connect) as store:
            await put_and_ack(store)
            disk.fail("UPDATE modd_store", "SQLITE_IOERR")
    assert "store.db: could not save the last id" in caplog.text
