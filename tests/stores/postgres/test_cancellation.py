"""A call that is cancelled at any moment leaves the store usable and nothing open; closing leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

import anyio
import psycopg
import pytest

from modd.concurrency.loops import loop_name
from modd.stores import PostgresStore
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]

Call: TypeAlias = Callable[[PostgresStore], Coroutine[Any, Any, None]]
"""A call of a store."""


OPEN = """SELECT count(*) FROM pg_stat_activity
    WHERE state IN ('active', 'idle in transaction', 'idle in transaction (aborted)')
    AND query LIKE %s AND pid <> pg_backend_pid()"""


CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


async def add(store: PostgresStore) -> None:
    await store.inbox.add("a")


async def has(store: PostgresStore) -> None:
    await store.inbox.has("a")


async def read_deferred(store: PostgresStore) -> None:
    async with store.transaction() as tx:
        await tx.fetch("SELECT count(*) FROM " + f"{store.schema.name}.inbox")
        await store.inbox.add("a")


async def write_at_once(store: PostgresStore) -> None:
    async with store.transaction(immediate=True), store.transaction():
        await store.inbox.add("a")


async def put_and_ack(store: PostgresStore) -> None:
    queue = store.queue("orders")
    await queue.put(b"1")
    await queue.ack(*await queue.claim(1, 60))


CALLS: list[Call] = [add, has, read_deferred, write_at_once]


async def nothing_open(server: PostgresServer, schema: str) -> None:
    """Return when no statement and no transaction of a store is open."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        await until(lambda: connection.execute(OPEN, (f"%{schema}%",)).fetchone() == (0,))


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_waits_for_a_lock_can_be_cancelled(call: Call, postgres_server: PostgresServer) -> None:
    # PG-57
    schema = new_schema()
    async with new_store(postgres_server, schema, listen=False) as store:
        await store.inbox.has("b")
        with psycopg.connect(postgres_server.url) as blocker:
            for _ in range(3):
                blocker.execute(f"LOCK TABLE {schema}.inbox IN ACCESS EXCLUSIVE MODE".encode())
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(call, store)
                    await blocked(postgres_server, schema)
                    tasks.cancel_scope.cancel()
                blocker.rollback()
        await nothing_open(postgres_server, schema)
        await store.inbox.add("a")
        async with store.transaction(immediate=True):
            assert await store.inbox.has("a")


async def blocked(server: PostgresServer, schema: str) -> None:
    """Return when a statement waits for a table."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'relation' AND query LIKE %s"
    with psycopg.connect(server.url, autocommit=True) as connection:
        await until(lambda: connection.execute(sql, (f"%{schema}%",)).fetchall())


@pytest.mark.parametrize("call", [*CALLS, put_and_ack])
async def test_a_call_that_is_cancelled_at_any_of_its_steps_leaves_nothing_open(
    call: Call, postgres_server: PostgresServer
) -> None:
    # PG-57
    schema = new_schema()
    async with new_store(postgres_server, schema, listen=False) as store:
        for steps in range(12):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(end_after, steps, tasks.cancel_scope)
                with anyio.CancelScope():
                    await discard(call, store)
        await nothing_open(postgres_server, schema)
        async with anyio.create_task_group() as tasks:  # as many at a time as there are connections
            for number in range(10):
                tasks.start_soon(store.inbox.add, f"id-{number}")


async def discard(call: Call, store: PostgresStore) -> None:
    with anyio.CancelScope():
        try:
            await call(store)
        except Exception:
            return


async def end_after(steps: int, scope: anyio.CancelScope) -> None:
    """Cancel a scope after some steps of the loop."""
    for _ in range(steps):
        await anyio.sleep(0.0005)
    scope.cancel()


@pytest.mark.parametrize(("table", "call"), [("inbox", add), ("items", put_and_ack)])
async def test_a_native_cancellation_ends_a_call_as_one_of_a_scope_does(
    table: str, call: Call, postgres_server: PostgresServer
) -> None:
    # PG-57
    if loop_name() == "trio":
        return
    schema = new_schema()
    async with new_store(postgres_server, schema, listen=False) as store:
        with psycopg.connect(postgres_server.url) as blocker:
            blocker.execute(f"LOCK TABLE {schema}.{table} IN ACCESS EXCLUSIVE MODE".encode())
            task = asyncio.create_task(call(store))
            await blocked(postgres_server, schema)
            for _ in range(3):  # however often
                task.cancel()
                await anyio.lowlevel.checkpoint()
            with pytest.raises(asyncio.CancelledError):
                await task
        await nothing_open(postgres_server, schema)
        await call(store)


async def test_a_store_that_is_closed_leaves_no_thread_no_task_and_no_connection(
    postgres_server: PostgresServer,
) -> None:
    # PG-54
    name = new_schema()
    threads = set(threading.enumerate())
    tasks = tasks_of_loop()
    address = f"{postgres_server.url}?application_name={name}"
    for _ in range(2):
        store = PostgresStore(address, schema=new_schema(), durable=False)
        async with store, anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(partial(write_at_once, store) if not number else partial(has, store))
        assert {each for each in threading.enumerate() if each.name.startswith("modd")} <= threads
        assert tasks_of_loop() == tasks
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            await until(lambda: connection.execute(CONNECTIONS, (name,)).fetchone() == (0,))


def tasks_of_loop() -> int:
    return len(asyncio.all_tasks()) if loop_name() == "asyncio" else 0


async def test_an_opening_that_is_cancelled_leaves_nothing(postgres_server: PostgresServer) -> None:
    # PG-54
    name = new_schema()
    tasks = tasks_of_loop()
    for steps in range(0, 60, 12):
        async with anyio.create_task_group() as group:
            group.start_soon(end_after, steps, group.cancel_scope)
            async with PostgresStore(f"{postgres_server.url}?application_name={name}", schema=name, durable=False):
                pass
    assert tasks_of_loop() == tasks
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        await until(lambda: connection.execute(CONNECTIONS, (name,)).fetchone() == (0,))
