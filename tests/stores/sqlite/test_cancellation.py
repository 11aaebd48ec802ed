"""Cancellation: what was not taken is withdrawn, what was taken is done and returns."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.callers import (  # noqa: F401  # one is a fixture
    Caller,
    anyio_backend,
    cancel_before_commit,
    cancel_during_commit,
    put,
    transact,
)
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import ALL, find_effects, open_store

pytestmark = pytest.mark.anyio


async def test_who_is_cancelled_before_the_writer_took_the_call_leaves_nothing(path: Path, natively: bool) -> None:
    # ST-18
    watch = Watch()
    async with open_store(path, watch) as store:
        caller = Caller(lambda: put(store))
        await cancel_before_commit(store, watch, caller, natively)
        await store.cache.set("k", b"1", 60)
        assert (await store.queue("orders").stats()).ready == 0
        assert caller.log == []


async def test_who_is_cancelled_after_that_returns_when_it_is_written(path: Path, natively: bool) -> None:
    # ST-18
    watch = Watch()
    async with open_store(path, watch) as store:
        await put(store)
        caller = Caller(lambda: put(store))
        await cancel_during_commit(watch, "BEGIN IMMEDIATE", caller, natively)
        assert caller.log == ["returned"]
        assert (await store.queue("orders").stats()).ready == 2


async def test_a_read_that_is_cancelled_leaves_its_connection_for_others(path: Path, natively: bool) -> None:
    watch = Watch()
    async with open_store(path, watch) as store, anyio.create_task_group() as tasks:
        caller = Caller(lambda: store.inbox.has("a"))
        async with watch.holding("SELECT 1 FROM modd_inbox"):
            tasks.start_soon(caller.run)
            await watch.stopped()
            caller.cancel(natively)
            await anyio.wait_all_tasks_blocked()
        await caller.ended.wait()
        assert not await store.inbox.has("a")


async def test_a_read_that_is_cancelled_while_it_connects_leaves_its_connection_for_others(
    path: Path, natively: bool
) -> None:
    watch = Watch()
    async with SqliteStore(path, connect=watch) as store, anyio.create_task_group() as tasks:
        caller = Caller(lambda: store.inbox.has("a"))
        async with watch.holding("connect"):
            tasks.start_soon(caller.run)
            await watch.stopped()
            for _ in range(2):
                caller.cancel(natively)
                await anyio.wait_all_tasks_blocked()
        await caller.ended.wait()
        before = watch.done["connect"]
        assert not await store.inbox.has("a")
        assert watch.done["connect"] == before


@pytest.mark.parametrize("options", [None, {"immediate": False}, {"immediate": True}])
async def test_a_call_in_a_scope_that_is_cancelled_is_done_and_returns_or_leaves_nothing(
    path: Path, options: dict[str, Any] | None
) -> None:
    async def call() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await (store.inbox.add("a") if options is None else transact(store, **options))
            returned.append(True)

    async with open_store(path) as store:
        returned = list[bool]()
        await call()
        assert await find_effects(store) == ([] if not returned else ["inbox"] if options is None else ALL)


def test_a_loop_that_ends_while_tasks_write_ends(path: Path) -> None:
    """``asyncio.run`` cancels all tasks natively, those of the store too."""

    async def write(store: SqliteStore) -> None:
        while True:
            await store.cache.set("k", b"1", 60)
            written.set()

    async def open_and_write() -> None:
        async with SqliteStore(path, connect=watch) as store, asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(write(store))

    async def go_when_cancelled() -> None:
        """All tasks are cancelled at once, before any of them runs again."""
        try:
            await asyncio.sleep(3600)
        finally:
            watch.go()

    async def main() -> None:
        running.append(asyncio.create_task(open_and_write()))
        await written.wait()
        watch.hold()
        await watch.stopped()
        running.append(asyncio.create_task(go_when_cancelled()))
        await asyncio.sleep(0)

    watch, written, running = Watch(), asyncio.Event(), list[asyncio.Task[None]]()
    asyncio.run(main())
    assert running[0].done()
