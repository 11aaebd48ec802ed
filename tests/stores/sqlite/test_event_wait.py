"""How one waits for events in a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from modd.ports import Item, Tagged
from modd.ports.transaction import open_transaction
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import open_store
from tests.stores.sqlite.faulty import until
from tests.stores.sqlite.test_wait import long_peek

pytestmark = pytest.mark.anyio

__all__ = ["long_peek"]

LOOK = "SELECT coalesce(max(position), 0) FROM modd_events"


async def woken(store: SqliteStore, after: int, then: Callable[[], Awaitable[object]]) -> None:
    """Wait for an event, and fail if what is done then does not end the wait."""

    async def do_when_all_wait() -> None:
        await anyio.wait_all_tasks_blocked()
        await then()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(do_when_all_wait)
            await store.events.wait(after, 600)


@pytest.mark.usefixtures("long_peek")
@pytest.mark.parametrize("immediate", [None, False, True])
async def test_an_append_wakes_those_who_wait_in_its_process(path: Path, immediate: bool | None) -> None:
    # WM-1
    async def append_in_transaction() -> None:
        async with store.transaction(immediate=bool(immediate)):
            await append()

    async with SqliteStore(path) as store:
        for position in range(2):
            event = [Item(b"", tags=("a",))]
            append = (
                partial(store.events.append, "a", event, 0)
                if position == 0
                else partial(store.events.append_where, "a", event, Tagged("b"), 0)
            )
            await woken(store, position, append if immediate is None else append_in_transaction)


async def test_an_append_of_another_process_is_seen_soon(path: Path) -> None:
    # WM-1
    async with SqliteStore(path) as store, SqliteStore(path) as other:
        await woken(store, 0, partial(other.events.append, "a", [b"1"], 0))


@pytest.mark.usefixtures("long_peek")
async def test_other_commits_wake_nobody(path: Path) -> None:
    async def commit() -> None:
        for number in range(20):
            await store.inbox.add(str(number))
        await anyio.wait_all_tasks_blocked()
        looks.append(watch.done[LOOK])
        await store.events.append("a", [b"1"], 0)
        await anyio.wait_all_tasks_blocked()
        await store.events.append("a", [b"2"], 1)

    watch, looks = Watch(), list[int]()
    async with open_store(path, watch) as store:
        await woken(store, 1, commit)
        assert looks == [1]


@pytest.mark.usefixtures("long_peek")
async def test_a_wait_behind_the_last_page_does_not_look_at_the_log(path: Path) -> None:
    # WM-143
    async def looks(after: int) -> int:
        before = watch.done[LOOK]
        await store.events.wait(after, 0.001)
        return watch.done[LOOK] - before

    async def looks_in_time(after: int) -> None:
        before = watch.done[LOOK]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.events.wait, after, 600)
            await until(lambda: watch.done[LOOK] > before)
            tasks.cancel_scope.cancel()
        assert watch.done[LOOK] == before + 1

    watch = Watch()
    async with open_store(path, watch) as store:
        await store.events.page(0, 2)
        assert await looks(0) == 0
        await looks_in_time(1)
        await store.events.append("a", [b"1"], 0)
        with anyio.fail_after(60):
            await store.events.wait(0, 600)
        await store.events.page(0, 1)  # perhaps not the last one
        await looks_in_time(1)
        await store.events.page(0, 2)
        await looks_in_time(0)
        assert await looks(1) == 0


@pytest.mark.usefixtures("long_peek")
async def test_a_wait_after_a_page_of_a_transaction_looks_at_the_log(path: Path) -> None:
    # WM-143
    async with SqliteStore(path) as store:
        async with store.transaction():
            await store.events.page(0, 2)
            await other_task(store.events.append, "a", [b"1"], 0)
            await store.events.page(0, 2)
        with anyio.fail_after(60):
            await store.events.wait(0, 600)


async def other_task(function: Callable[..., Awaitable[object]], *arguments: object) -> None:
    """Call a function outside of the open transaction."""
    token = open_transaction.set(None)
    try:
        await function(*arguments)
    finally:
        open_transaction.reset(token)
