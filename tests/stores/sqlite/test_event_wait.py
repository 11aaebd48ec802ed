"""How one waits for events in a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from modd.ports import Item, Tagged
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import open_store
from tests.stores.sqlite.test_wait import long_peek

pytestmark = pytest.mark.anyio

__all__ = ["long_peek"]


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
        looks.append(watch.done[look])
        await store.events.append("a", [b"1"], 0)
        await anyio.wait_all_tasks_blocked()
        await store.events.append("a", [b"2"], 1)

    watch, look, looks = Watch(), "SELECT coalesce(max(position), 0) FROM modd_events", list[int]()
    async with open_store(path, watch) as store:
        await woken(store, 1, commit)
        assert looks == [1]
