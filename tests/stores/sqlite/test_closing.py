"""A store that is closed while others still use it: each of them is told, and nothing stays open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from modd.stores.errors import StoreClosed
from modd.stores.sqlite.errors import StoreInOtherThread
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import store_threads, until

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error")]


@pytest.mark.parametrize("steps", range(6))
async def test_a_read_that_comes_with_the_end_is_answered_or_told(path: Path, steps: int) -> None:
    outcomes: list[Any] = []

    async def read() -> None:
        try:
            outcomes.append((await store.queue("a").stats()).ready)
        except StoreClosed as closed:
            outcomes.append(closed.store)

    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(60):
            async with SqliteStore(path) as store:
                for _ in range(6):
                    tasks.start_soon(read)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
    assert len(outcomes) == 6
    assert {*outcomes} <= {0, str(path)}
    await until(lambda: store_threads() == [])


async def test_a_transaction_that_outlasts_its_store_is_told_and_holds_nothing(path: Path) -> None:
    began, closed = anyio.Event(), anyio.Event()

    async def work() -> None:
        async with store.transaction() as tx:
            await tx.fetch("SELECT 1")
            began.set()
            await closed.wait()
            with pytest.raises(StoreClosed):
                await tx.fetch("SELECT 1")

    async with anyio.create_task_group() as tasks:
        async with SqliteStore(path) as store:
            tasks.start_soon(work)
            await began.wait()
        await until(lambda: store_threads() == [])
        closed.set()


@pytest.mark.parametrize("other", ["asyncio", "trio"])
async def test_in_the_loop_of_another_thread_a_store_is_an_error_and_no_hang(path: Path, other: str) -> None:
    async def put() -> None:
        with pytest.raises(
            StoreInOtherThread, match=r"store\.db: it was opened in the loop of another thread; call it"
        ):
            await store.queue("a").put(b"1")

    def put_from_its_loop() -> None:
        anyio.from_thread.run(store.queue("a").put, b"2")

    async with SqliteStore(path) as store:
        await anyio.to_thread.run_sync(lambda: anyio.run(put, backend=other))
        await anyio.to_thread.run_sync(put_from_its_loop)
        assert [claim.body for claim in await store.queue("a").claim(9, 60)] == [b"2"]
