"""The order and the leases of an outbox in PostgreSQL, among processes."""

from __future__ import annotations

from functools import partial

import anyio
import psycopg
import pytest
from anyio.lowlevel import checkpoint

from modd.ports import Claim, Item, LeaseLost
from tests.postgres.server import PostgresServer
from tests.stores.postgres.clock import TestClock
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = pytest.mark.anyio

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"


async def waiting(connection: psycopg.Connection[tuple[int]], number: int) -> None:
    """Return when so many connections of the server wait for a lock."""
    with anyio.fail_after(60):
        while connection.execute(WAITING).fetchone() != (number,):
            await checkpoint()


async def test_items_are_in_the_order_of_commits(postgres_server: PostgresServer) -> None:
    # PG-8
    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        async with store.transaction():
            await store.outbox.put(b"3")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.outbox.put, b"1")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.outbox.put, b"2")
            await store.outbox.put(b"4")
        await other.outbox.put(b"5")
        claims = await other.outbox.claim(9, 60)
        assert [claim.body for claim in claims] == [b"1", b"2", b"3", b"4", b"5"]


async def test_a_commit_under_way_holds_up_the_items_behind_it(postgres_server: PostgresServer) -> None:
    # PG-8
    async def commit_slowly() -> None:
        async with store.transaction() as tx:
            await store.outbox.put(b"1")
            await tx.execute("SELECT pg_advisory_xact_lock(77)")

    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(77)")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(commit_slowly)
                await waiting(connection, 1)
                tasks.start_soon(other.outbox.put, b"2")
                await waiting(connection, 2)
                assert await other.outbox.claim(9, 60) == []
                connection.execute("SELECT pg_advisory_unlock(77)")
        assert [claim.body for claim in await other.outbox.claim(9, 60)] == [b"1", b"2"]


async def test_a_relay_gets_each_item_once_and_in_order_while_processes_put(postgres_server: PostgresServer) -> None:
    # PG-8
    async def put(outbox_of: int) -> None:
        store = stores[outbox_of % 2]
        for number in range(10):
            async with store.transaction():
                await store.outbox.put(Item(b"%d" % number, key=f"{outbox_of}"))

    claims: list[Claim] = []
    schema = new_schema()
    async with new_store(postgres_server, schema) as first, new_store(postgres_server, schema) as second:
        stores = first, second
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(put, number)
            while len(claims) < 40:
                some = await second.outbox.claim(7, 60)
                claims += some
                await second.outbox.ack(*some)
    for number in range(4):
        assert [claim.body for claim in claims if claim.key == f"{number}"] == [b"%d" % n for n in range(10)]


async def test_one_relay_at_a_time_has_leases(postgres_server: PostgresServer) -> None:
    # PG-8
    async def claim(number: int) -> None:
        results.append(await (store, other)[number % 2].outbox.claim(1, 60))

    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        await store.outbox.put(b"1", b"2", b"3", b"4")
        for body in (b"1", b"2", b"3"):
            results: list[list[Claim]] = []
            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(claim, number)
            [held] = [claims for claims in results if claims]
            assert [each.body for each in held] == [body]
            await other.outbox.ack(*held)


async def test_a_lease_ends_by_the_time_of_the_database_and_an_earlier_claim_is_lost(clock: TestClock) -> None:
    # PG-6
    async with clock.new_store() as store:
        outbox = store.outbox
        await outbox.put(b"1", b"2")
        early = await outbox.claim(2, 10)
        assert await outbox.seconds_left() == 10
        clock.now += 10
        assert await outbox.seconds_left() == 0
        [late] = await outbox.claim(1, 10)
        assert (late.body, late.attempt) == (b"1", 2)
        for settle in (outbox.ack, outbox.release):
            with pytest.raises(LeaseLost) as lost:
                await settle(*early, late)
            assert lost.value.ids == tuple(claim.id for claim in early)
        await outbox.ack(late, late)
        assert [claim.body for claim in await outbox.claim(9, 10)] == [b"2"]


async def test_a_claim_of_another_process_ends_no_wait_and_its_release_does(postgres_server: PostgresServer) -> None:
    # PG-5
    schema = new_schema()
    async with new_store(postgres_server, schema, poll=600.0) as store, new_store(postgres_server, schema) as other:
        await other.outbox.put(b"1")
        claims = await other.outbox.claim(1, 600)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(store.outbox.wait, 600.0))
                await anyio.wait_all_tasks_blocked()
                await other.outbox.release(*claims)
        assert await store.outbox.claim(1, 60) != []
