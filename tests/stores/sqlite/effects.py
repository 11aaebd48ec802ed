"""What transactions do in the tests: something in each part of a store, and SQL of the user's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from modd.ports import Item, Transaction
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.connections import Watch

Do: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]

ALL = ["account", "event", "snapshot", "inbox", "outbox", "queue"]


@asynccontextmanager
async def open_store(path: Path, watch: Watch | None = None, **options: Any) -> AsyncIterator[SqliteStore]:
    """A store with a table of the user's beside those of modd."""
    async with SqliteStore(path, connect=watch, **options) as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL)")
        yield store


async def pay(store: SqliteStore, tx: Transaction, name: str = "a") -> None:
    """Something in each part, and SQL."""
    await tx.execute("INSERT INTO accounts VALUES (:name, 1)", {"name": name})
    assert await store.events.append(name, [b"1", b"2"], 0) == 2
    await store.events.save_snapshot(name, 2, b"")
    await store.inbox.add(name)
    await store.outbox.put(Item(b"", id=name))
    await store.queue("orders").put(Item(b"", id=name))


async def find_effects(store: SqliteStore, name: str = "a") -> list[str]:
    """What of it is in the store."""
    async with store.transaction() as tx:
        found = {
            "account": await tx.fetch("SELECT 1 FROM accounts WHERE name = ?", (name,)),
            "event": [event async for event in store.events.read(name)],
            "snapshot": await store.events.snapshot(name),
            "inbox": await store.inbox.has(name),
            "outbox": await tx.fetch("SELECT 1 FROM modd_outbox WHERE id = ?", (name,)),
            "queue": await tx.fetch("SELECT 1 FROM modd_items WHERE id = ?", (name,)),
        }
    return [part for part in ALL if found[part]]


@asynccontextmanager
async def outsider() -> AsyncIterator[Do]:
    """A task that is in no transaction, though it is asked to do something from inside of one."""
    send, receive = anyio.create_memory_object_stream[tuple[Do, tuple[Any, ...], list[Any], anyio.Event]](1)

    async def run() -> None:
        with receive:
            async for function, given, results, done in receive:
                results.append(await function(*given))
                done.set()

    async def do(function: Do, *given: Any) -> Any:
        results: list[Any] = []
        done = anyio.Event()
        await send.send((function, given, results, done))
        await done.wait()
        return results[0]

    async with anyio.create_task_group() as tasks:
        with send:
            tasks.start_soon(run)
            yield do
