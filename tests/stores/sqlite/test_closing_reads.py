"""A store that is closed while others read: what is being read is read to its end, and no connection stays open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus

from modd.stores.errors import StoreClosed
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.callers import Caller, anyio_backend  # noqa: F401  # a fixture
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.faulty import store_threads, until

pytestmark = pytest.mark.anyio

READ = "SELECT 1 FROM modd_inbox"


class Reader:
    """A task that reads, and is held up at that."""

    def __init__(self, path: Path) -> None:
        self.watch = Watch()
        self.store = SqliteStore(path, connect=self.watch)
        self.outcome: Any = None
        self.closing = False

    async def read(self) -> None:
        try:
            self.outcome = await self.store.inbox.has("a")
        except StoreClosed:
            self.outcome = StoreClosed

    async def open_and_close(self, statement: str = READ) -> None:
        async with anyio.create_task_group() as tasks, self.store:
            self.watch.hold(statement)
            tasks.start_soon(self.read)
            await self.watch.stopped()
            self.closing = True

    async def go_when_waited_for(self) -> None:
        await anyio.wait_all_tasks_blocked()
        assert self.outcome is None
        self.watch.go()


@pytest.mark.costly
@pytest.mark.parametrize(("statement", "outcome"), [("connect", StoreClosed), (READ, False)])
async def test_who_reads_is_waited_for_and_who_connects_is_told(path: Path, statement: str, outcome: Any) -> None:
    reader = Reader(path)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.open_and_close, statement)
            await until(lambda: reader.closing)
            await reader.go_when_waited_for()
    assert reader.outcome == outcome
    await until(lambda: store_threads() == [])


async def test_who_is_cancelled_while_it_closes_a_store_closes_it(path: Path, natively: bool) -> None:
    reader = Reader(path)
    caller = Caller(reader.open_and_close)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.run)
            await until(lambda: reader.closing)
            for _ in range(3):
                await anyio.wait_all_tasks_blocked()
                caller.cancel(natively)
            assert not caller.ended.is_set()
            await reader.go_when_waited_for()
    assert "went on" not in caller.log
    await until(lambda: store_threads() == [])


async def test_nothing_is_read_from_a_store_that_is_being_closed(path: Path) -> None:
    async def read_more() -> None:
        await anyio.wait_all_tasks_blocked()
        for _ in range(2):
            with pytest.raises(StoreClosed):
                await reader.store.inbox.has("a")
        await reader.go_when_waited_for()

    reader = Reader(path)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.open_and_close)
            await until(lambda: reader.closing)
            await read_more()
    assert reader.outcome is False


async def test_more_connections_than_are_kept_are_closed_when_they_are_given_back(path: Path) -> None:
    async def hold(*, task_status: TaskStatus[None]) -> None:
        async with store.transaction() as tx:
            await tx.fetch("SELECT 1")
            task_status.started()
            await over.wait()

    over = anyio.Event()
    async with SqliteStore(path) as store:
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                await tasks.start(hold)
            over.set()
        await until(lambda: len(store._readers._idle) == 4)
    await until(lambda: store_threads() == [])
