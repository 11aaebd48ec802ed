"""Calls that wait for a lock that another transaction keeps."""

from __future__ import annotations

from typing import Any

import anyio
import psycopg
import pytest

from modd.stores import PostgresStore, StoreBusy
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = pytest.mark.anyio


async def limit_of(store: PostgresStore) -> Any:
    """Return for how long a transaction of a store waits for a lock."""
    async with store.transaction() as tx:
        [[limit]] = await tx.fetch("SELECT current_setting('lock_timeout')")
        return limit


async def test_a_put_beside_a_session_that_has_put_ends_with_an_error(postgres_server: PostgresServer) -> None:
    # PG-59
    async with new_store(postgres_server, timeout=2) as store:
        with psycopg.connect(postgres_server.url) as connection:
            await store.outbox.using(connection).put(b"order placed")
            with anyio.fail_after(60), pytest.raises(StoreBusy, match=r"another transaction has a lock .*LockNotAvail"):
                await store.outbox.put(b"mail sent")
        assert [claim.body for claim in await store.outbox.claim(9, 30)] == [b"order placed"]


async def test_calls_that_share_a_commit_end_with_an_error_each(postgres_server: PostgresServer) -> None:
    # PG-59
    failed: list[int] = []
    async with new_store(postgres_server, timeout=2) as store:
        queue = store.queue("mails")
        await queue.put(b"first")

        async def put(number: int) -> None:
            with pytest.raises(StoreBusy, match="another transaction has a lock"):
                await queue.put(b"%d" % number)
            failed.append(number)

        with psycopg.connect(postgres_server.url) as connection:
            connection.execute(f"LOCK TABLE {store.schema.quoted}.items IN SHARE MODE".encode())
            with anyio.fail_after(60):
                async with anyio.create_task_group() as tasks:
                    for number in range(3):
                        tasks.start_soon(put, number)
        assert sorted(failed) == [0, 1, 2]
        assert (await queue.stats()).ready == 1


async def test_an_immediate_transaction_that_waits_ends_with_an_error(postgres_server: PostgresServer) -> None:
    # PG-59
    async with new_store(postgres_server, timeout=2) as store:
        with psycopg.connect(postgres_server.url) as connection:
            await store.outbox.using(connection).put(b"order placed")
            with anyio.fail_after(60), pytest.raises(StoreBusy, match="another transaction has a lock"):
                async with store.transaction(immediate=True, max_seconds=30):
                    await store.outbox.put(b"mail sent")


@pytest.mark.parametrize(("timeout", "limit"), [(0.2, "2s"), (7, "7s"), (1e9, "2147483647ms")])
async def test_the_limit_is_the_timeout_but_no_less_than_deadlocks_need(
    postgres_server: PostgresServer, timeout: float, limit: str
) -> None:
    # PG-59
    async with new_store(postgres_server, timeout=timeout) as store:
        assert await limit_of(store) == limit


@pytest.mark.parametrize("limit", ["90s", "0"])
async def test_a_limit_of_the_address_is_kept(postgres_server: PostgresServer, limit: str) -> None:
    # PG-59
    address = f"{postgres_server.url}?options=-c%20lock_timeout%3D{limit}"
    async with PostgresStore(address, schema=new_schema(), durable=False) as store:
        assert await limit_of(store) == limit


async def test_sessions_that_a_pooler_shares_get_no_limit(postgres_server: PostgresServer) -> None:
    # PG-59
    async with new_store(postgres_server, listen=False) as store:
        assert await limit_of(store) == "0"
