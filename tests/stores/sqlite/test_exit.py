"""The process ends, whatever became of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import store_threads, until
from tests.stores.sqlite.program import exit_inside, leave_open, outcome, start, wait_for_end

pytestmark = pytest.mark.anyio


async def test_no_thread_is_left_when_a_store_is_closed(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")
        await store.queue("a").stats()
        assert store_threads()
    await until(lambda: store_threads() == [])


@pytest.mark.costly
def test_a_process_ends_from_inside_a_store(path: Path, anyio_backend: str) -> None:
    wait_for_end(start(exit_inside, path, anyio_backend))


@pytest.mark.costly
async def test_a_process_ends_by_itself_when_a_store_was_left_open(path: Path, anyio_backend: str) -> None:
    # ST-28
    code, _, errors = outcome(start(leave_open, path, anyio_backend))
    if anyio_backend == "asyncio":
        assert code == 0
    else:  # trio itself takes it for an error when a task ends with something open
        assert "nurser" in errors
    async with SqliteStore(path) as store:  # what was acknowledged is there
        assert (await store.queue("a").stats()).ready == 1
