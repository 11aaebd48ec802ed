"""Tasks that are cancelled, and how."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import Do, pay


class Caller:
    """A task that does something, and can be cancelled: by its scope, or on asyncio natively."""

    def __init__(self, do: Do) -> None:
        self.do, self.log = do, list[str]()
        self.ended = anyio.Event()

    async def run(self) -> None:
        self.scope, self.task = anyio.CancelScope(), asyncio_task()
        try:
            with self.scope:
                await self.do()
                self.log.append("returned")
                await checkpoint()
                self.log.append("went on")
        except asyncio.CancelledError:
            pass
        finally:
            self.ended.set()

    def cancel(self, natively: bool) -> None:
        if natively:
            self.task.cancel()
        else:
            self.scope.cancel()


def asyncio_task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


@pytest.fixture
def anyio_backend(how: str) -> str:
    """For modules whose tests cancel: import it from here."""
    return how.split(maxsplit=1)[0]


async def put(store: SqliteStore) -> None:
    await store.queue("orders").put(b"1")


async def transact(store: SqliteStore, **options: Any) -> None:
    async with store.transaction(**options) as tx:
        await pay(store, tx)


async def cancel_before_commit(store: SqliteStore, watch: Watch, caller: Caller, natively: bool) -> None:
    """A caller is cancelled while its call waits behind one that the writer is at."""
    async with anyio.create_task_group() as tasks, watch.holding():
        tasks.start_soon(store.cache.set, "k", b"1", 60)
        await watch.stopped()
        tasks.start_soon(caller.run)
        await anyio.wait_all_tasks_blocked()
        caller.cancel(natively)
        await caller.ended.wait()


async def cancel_during_commit(watch: Watch, statement: str, caller: Caller, natively: bool) -> None:
    """A caller is cancelled three times while the writer is at a statement of its call, and ends only after that."""
    async with anyio.create_task_group() as tasks:
        async with watch.holding(statement):
            tasks.start_soon(caller.run)
            await watch.stopped()
            for _ in range(3):
                caller.cancel(natively)
                await anyio.wait_all_tasks_blocked()
            assert not caller.ended.is_set()
        await caller.ended.wait()
