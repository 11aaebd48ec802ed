"""What goes wrong outside of SQLite while the writer commits: all callers are told, and it goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from modd.concurrency.loop_thread import start_loop_thread
from modd.ports import AlreadyHandled
from modd.stores.errors import StoreClosed
from modd.stores.sqlite.errors import StoreFailed, StoreFull
from modd.stores.sqlite.opening import connect_file
from modd.stores.sqlite.sql import CallArgs, Connection
from modd.stores.sqlite.store import SqliteStore
from modd.stores.sqlite.write_turns import WriterThread, WriteTurns
from modd.stores.sqlite.writer import Writer
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.connections import failed as failure
from tests.stores.sqlite.effects import Do
from tests.stores.sqlite.faulty import Disk, until
from tests.stores.sqlite.others import affected

pytestmark = pytest.mark.anyio


class Stop(BaseException):
    """What ends a task, as `SystemExit` does."""


async def told(call: Do) -> None:
    with pytest.raises(StoreClosed):
        await call()


@asynccontextmanager
async def open_thread(path: Path) -> AsyncIterator[WriterThread]:
    path.touch()  # noqa: ASYNC240
    loop, turns = start_loop_thread(), WriteTurns(str(path), 1)
    thread = WriterThread(partial(connect_file, str(path)), loop, turns)
    await thread.open()
    yield thread
    await thread.close()
    turns.close()
    if loop is not None:
        loop.close()


@asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        try:
            yield
        finally:
            writer.close()


def insert_numbers(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[int]:
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
    connection.executemany("INSERT INTO numbers VALUES (?)", calls)
    return [number for [number] in calls]


def stop(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    raise Stop


async def test_when_the_connection_cannot_even_be_asked_all_callers_are_told_and_it_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = 0

    async def fail(number: int) -> None:
        nonlocal failed
        with pytest.raises(RuntimeError, match="thread"):
            await writer.submit(insert_numbers, number)
        failed += 1

    async def refuse(work: object, *, shield: bool) -> None:
        monkeypatch.undo()
        raise RuntimeError("can't start new thread")

    async with open_thread(path) as thread:
        monkeypatch.setattr(thread, "run", refuse)
        writer = Writer("store.db", thread, lambda: None)
        async with anyio.create_task_group() as tasks:
            for number in (1, 2):
                tasks.start_soon(fail, number)
            await anyio.wait_all_tasks_blocked()
            async with running(writer):
                await until(lambda: failed == 2)
                assert await writer.submit(insert_numbers, 3) == 3
        assert await thread.run(lambda db: db.execute("SELECT number FROM numbers").fetchall()) == [(3,)]


async def test_work_that_a_connection_did_not_take_is_not_done_in_place_of_the_next(path: Path) -> None:
    async with open_thread(path) as thread:
        await thread.close()
        for _ in range(2):
            with pytest.raises(ValueError, match=r"active|closed"):
                await thread.run(lambda db: db.execute("SELECT 1"))
        assert not thread._work


async def test_a_connection_that_cannot_even_forget_what_it_read_wrong_goes_on(path: Path) -> None:
    disk = Disk()
    async with SqliteStore(path, connect=disk.connect) as store:
        disk.fail("SELECT", "SQLITE_CORRUPT")
        disk.fail("PRAGMA shrink_memory", "SQLITE_IOERR")
        with pytest.raises(StoreFailed):
            await store.queue("a").stats()
        disk.fails.clear()
        assert (await store.queue("a").stats()).ready == 0


async def test_what_ends_the_writer_comes_out_and_its_callers_are_told(path: Path) -> None:
    async def run() -> None:
        with pytest.raises(Stop):
            await writer.run()

    async def reserve() -> None:
        async with writer.reserve():
            pass

    async with open_thread(path) as thread:
        writer = Writer("store.db", thread, lambda: None)
        calls = (partial(writer.submit, stop), reserve)
        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(told, call)
                await anyio.wait_all_tasks_blocked()
            tasks.start_soon(run)
        for call in calls:
            await told(call)


async def test_a_disk_that_fails_while_calls_are_done_one_by_one_is_told_of(path: Path) -> None:
    watch = Watch()
    async with SqliteStore(path, connect=watch) as store:
        await store.inbox.add("a")
        watch.failures.append(("SAVEPOINT", failure(sqlite3.SQLITE_FULL)))
        with pytest.raises(StoreFull):
            await store.inbox.add("a")
        with pytest.raises(AlreadyHandled):
            await store.inbox.add("a")


async def test_who_waits_for_a_turn_when_the_writer_is_closed_is_told(path: Path) -> None:
    async def reserve() -> None:
        async with writer.reserve():
            begun.set()
            await over.wait()

    async def second() -> None:
        async with writer.reserve():
            pass

    begun, over = anyio.Event(), anyio.Event()
    with anyio.fail_after(60):
        async with open_thread(path) as thread, anyio.create_task_group() as tasks:
            writer = Writer("store.db", thread, lambda: None)
            async with running(writer):
                tasks.start_soon(reserve)
                await begun.wait()
                tasks.start_soon(told, second)
                await anyio.wait_all_tasks_blocked()
                writer.close()
                over.set()


async def test_while_there_is_no_turn_nothing_is_written_and_it_goes_on_afterwards(path: Path) -> None:
    def lock(file: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    async with affected(path) as store:
        turns: Any = cast(Any, store._writer._thread)._turns
        turns._lock._lock, before = lock, turns._lock._lock
        with pytest.raises(StoreFailed, match="No locks available"):
            await store.queue("a").put(b"1")
        turns._lock._lock = before
        await store.queue("a").put(b"2")
        assert [claim.body for claim in await store.queue("a").claim(9, 60)] == [b"2"]
