"""A store belongs to the process that opened it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modd.stores.sqlite.errors import StoreForked
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.program import run_forked, start, wait_for_end

pytestmark = pytest.mark.anyio


@pytest.mark.costly
async def test_a_forked_process_cannot_use_the_file_that_was_open_and_can_use_others(
    path: Path, anyio_backend: str
) -> None:
    # ST-27
    wait_for_end(start(run_forked, path, anyio_backend))


async def test_the_store_and_its_file_know_the_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SqliteStore(path) as store:
        with monkeypatch.context() as another:
            another.setattr(os, "getpid", lambda: -1)
            another.setattr("modd.stores.sqlite.store.is_running_here", lambda loop: False)  # so asyncio after a fork
            for use in (store.__aenter__, SqliteStore(path).__aenter__, store.queue("a").stats):
                with pytest.raises(StoreForked, match="uses it, was forked from it"):
                    await use()
            await store.__aexit__(None, None, None)  # it is not its own to close
        await store.queue("a").put(b"1")


def test_the_error_names_file_processes_and_cure() -> None:
    error = StoreForked("orders.db", 17, 18)
    assert (error.store, error.opened_by, error.process) == ("orders.db", 17, 18)
    assert str(error).startswith("orders.db: process 17 had the file open when process 18, which uses it, was forked")
