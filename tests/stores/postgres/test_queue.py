"""Queues in PostgreSQL that several processes use: each store here is one of a process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import psycopg
import pytest

from modd import InvalidOption
from modd.ports import Claim, Item, LeaseLost, PutResult, Stats
from modd.ports.items import HANDLER
from modd.stores.postgres.advisory import try_lanes
from modd.stores.postgres.queue import PostgresQueue
from modd.stores.postgres.session import ConnectionSession
from tests.postgres.server import PostgresServer
from tests.stores.postgres.database_clock import DatabaseClock
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = pytest.mark.anyio

SOON = 20.0
"""Seconds after which a call counts as one that waits for ever."""


@asynccontextmanager
async def two_queues(server: PostgresServer) -> AsyncIterator[tuple[PostgresQueue, PostgresQueue]]:
    """One queue, as two processes have it."""
    schema = new_schema()
    async with new_store(server, schema) as first, new_store(server, schema) as second:
        yield first.queue("orders"), second.queue("orders")


@asynccontextmanager
async def open_transaction(server: PostgresServer, queue: PostgresQueue) -> AsyncIterator[ConnectionSession]:
    """A transaction of another process, which stays open."""
    store: Any = queue.store

    async def begin() -> ConnectionSession:
        connection = await psycopg.AsyncConnection.connect(server.url)
        return ConnectionSession(connection, store.schema)

    calls = store._committer.connections.calls
    session = await calls.run(begin)
    try:
        yield session
    finally:
        await calls.run(session.connection.rollback)  # when it returns, what was locked is free
        await calls.run(session.connection.close)


async def run(queue: PostgresQueue, operation: Any, *arguments: Any) -> Any:
    """Run an operation in the loop of the store's connections."""
    store: Any = queue.store
    return await store._committer.connections.calls.run(lambda: operation(*arguments))


async def test_of_two_processes_that_claim_at_once_each_gets_others_and_keys_in_order(
    postgres_server: PostgresServer,
) -> None:
    # PG-3, PG-4
    done: list[Claim] = []

    async def work(queue: PostgresQueue) -> None:
        while len(done) < 120:
            claims = await queue.claim(3, 60)
            done.extend(claims)
            await queue.ack(*claims)
            if not claims:
                await queue.wait(0.05)

    async with two_queues(postgres_server) as queues:
        items = [Item(b"%d" % number, key="abc"[number % 3] if number % 2 else None) for number in range(60)]
        with anyio.fail_after(3 * SOON):
            async with anyio.create_task_group() as tasks:
                for queue in queues * 2:
                    tasks.start_soon(work, queue)
                for start in range(0, 60, 4):
                    await queues[0].put(*items[start : start + 4])
                    await queues[1].put(*[b"%d" % number for number in range(60 + start, 64 + start)])
        assert sorted(int(claim.body) for claim in done) == list(range(120))
        for key in "abc":
            bodies = [int(claim.body) for claim in done if claim.key == key]
            assert bodies == sorted(bodies)
        assert await queues[1].stats() == Stats(0, 0, 0, 0)


async def test_nobody_waits_for_the_claim_of_another_process(postgres_server: PostgresServer) -> None:
    # PG-4
    """What it has in its hands is left out; the rest is claimed, made ready and settled."""
    async with two_queues(postgres_server) as (queue, other):
        await queue.put(Item(b"1", key="k"), b"2", Item(b"3", key="k"), b"4")
        [first] = await queue.claim(1, 60)
        async with open_transaction(postgres_server, queue) as session:
            [theirs] = await run(queue, other._operations.claim, session, 1, 60, "last")
            with anyio.fail_after(SOON):
                await queue.put(Item(b"5", key="l"))
                claims = await queue.claim(9, 60)
                await queue.ack(first, *claims)
                assert [claim.body for claim in await queue.claim(9, 60)] == [b"3"]
        assert (theirs.body, [claim.body for claim in claims]) == (b"2", [b"4", b"5"])
        assert [claim.body for claim in await queue.claim(9, 60)] == [b"2"]


async def test_items_that_come_due_behind_a_lane_in_the_hands_of_another_process_are_left_to_a_later_claim(
    postgres_server: PostgresServer,
) -> None:
    # PG-4
    clock = DatabaseClock(postgres_server)
    async with clock.new_store() as store:
        queue = store.queue("orders")
        await queue.put(Item(b"1", key="k", delay=1), Item(b"2", delay=2), Item(b"3", key="k"))
        clock.move(3)
        async with open_transaction(postgres_server, queue) as session:
            assert await run(queue, try_lanes, session, queue._operations.number, [b"k"]) == {b"k"}
            with anyio.fail_after(SOON):
                assert [claim.body for claim in await queue.claim(9, 60, suspects="none")] == [b"3", b"2"]
                assert await queue.claim(9, 60) == []
                begun = anyio.current_time()
                await queue.wait(SOON)  # there is one, but others have it in hand: the next look comes after a pause
                assert anyio.current_time() - begun > 0.015
    clock.close()


async def test_a_second_head_of_a_key_is_impossible_and_the_claim_is_tried_again(
    postgres_server: PostgresServer,
) -> None:
    # PG-3
    """Even if somebody writes rows by hand and takes no lock."""
    clock = DatabaseClock(postgres_server)
    async with clock.new_store() as store:
        queue = store.queue("orders")
        await queue.put(Item(b"1", key="k", delay=1))
        clock.move(2)
        items = f"{store.schema.quoted}.items"
        insert = f"INSERT INTO {items} (queue, state, rank, key, body) SELECT queue, 0, 1, key, '2' FROM {items}"
        claims: list[Claim] = []

        async def claim() -> None:
            claims.extend(await queue.claim(9, 60))

        with psycopg.connect(postgres_server.url) as connection:
            connection.execute(insert.encode())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(claim)
                await until_waiting(postgres_server)
                connection.commit()
        assert [claim.body for claim in claims] == [b"1"]
        assert (await queue.stats()).ready == 1
    clock.close()


async def until_waiting(server: PostgresServer) -> None:
    """Return when a transaction waits for another one."""
    sql = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    with psycopg.connect(server.url, autocommit=True) as connection:
        await until(lambda: connection.execute(sql).fetchall())


async def test_a_queue_whose_claims_fail_for_a_second_head_again_and_again_gives_nothing(
    postgres_server: PostgresServer,
) -> None:
    # PG-3
    async with new_store(postgres_server) as store:
        queue = store.queue("orders")
        await queue.put(Item(b"1", key="k"), Item(b"2", key="k"), Item(b"3", delay=0.001))
        postgres_server.execute(
            f"""CREATE FUNCTION {store.schema.quoted}.fail() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN RAISE unique_violation; END'""",
            f"""CREATE TRIGGER fail BEFORE UPDATE ON {store.schema.quoted}.items
                FOR EACH ROW EXECUTE FUNCTION {store.schema.quoted}.fail()""",
        )
        assert await queue.claim(9, 60) == []
        postgres_server.execute(f"DROP TRIGGER fail ON {store.schema.quoted}.items")
        assert [claim.body for claim in await queue.claim(9, 60)] == [b"1", b"3"]


async def test_two_processes_that_put_one_id_at_once_put_one_item(postgres_server: PostgresServer) -> None:
    # PG-2
    results: list[PutResult] = []
    id, key = "\0ü'\"\\%s", "\0k"

    async def put(queue: PostgresQueue) -> None:
        results.extend(await queue.put(Item(b"1", {"\0": "\0"}, id=id, key=key), Item(b"2", id="b")))

    async with two_queues(postgres_server) as queues:
        async with anyio.create_task_group() as tasks:
            for queue in queues * 4:
                tasks.start_soon(put, queue)
        assert sum(not result.duplicate for result in results) == 2
        claims = await queues[1].claim(9, 60)
        assert {claim.id: (claim.key, claim.headers) for claim in claims} == {id: (key, {"\0": "\0"}), "b": (None, {})}


async def test_a_queue_of_any_name_is_another_one(postgres_server: PostgresServer) -> None:
    # PG-2
    async with new_store(postgres_server) as store:
        for name in ("", "\0", "a%s", "A%s"):
            await store.queue(name).put(name.encode())
        for name in ("", "\0", "a%s", "A%s"):
            assert [claim.body for claim in await store.queue(name).claim(9, 60)] == [name.encode()]
        assert repr(store.queue("a")) == f"<PostgresQueue a in {store.name}>"


async def test_an_item_that_no_row_can_have_is_an_error_and_nothing_is_put(postgres_server: PostgresServer) -> None:
    text: Any = "secret"
    async with new_store(postgres_server) as store:
        queue = store.queue("orders")
        with pytest.raises(InvalidOption, match=r"body=<class 'str'>: give bytes"):
            await queue.put(b"1", text)
        with pytest.raises(InvalidOption, match=r"len\(key\)=2001: give at most 2,000 bytes"):
            await queue.put(b"1", Item(b"", key="k" * 2001))
        with pytest.raises(InvalidOption, match=r"len\(body\)=100000001: give at most 100,000,000 bytes"):
            await queue.put(b"1", bytes(100_000_001))
        with pytest.raises(InvalidOption, match="id=1: give a text"):
            await queue.cancel(1)  # type: ignore[arg-type]
        assert (await queue.stats()).ready == 0
        await queue.put(Item(b"", key="k" * 2000, id="i" * 2000))
        assert len(await queue.claim(1, 1)) == 1


async def test_a_claim_of_another_store_is_lost(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        with pytest.raises(LeaseLost):
            await store.queue("orders").ack(
                Claim("a", b"", {}, None, 1, "9" * 40 + ".1"), Claim("b", b"", {}, None, 1, "x")
            )


async def test_in_a_transaction_that_defers_writes_an_item_has_its_id_before(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = store.queue("orders")
        async with store.transaction():
            made, given = await queue.put(b"1", Item(b"2", id="a"))
            assert await queue.stats() == Stats(0, 0, 0, 0)
        assert (made.duplicate, given) == (False, PutResult("a", None))
        assert [claim.id for claim in await queue.claim(9, 60)] == [made.id, "a"]


async def test_a_header_that_has_the_text_of_another_one_is_not_that_of_a_handler(
    postgres_server: PostgresServer,
) -> None:
    async with new_store(postgres_server) as store:
        queue = store.queue("orders")
        inside = "\x92\xc4".encode("latin-1").decode("latin-1") + HANDLER
        await queue.put(
            Item(b"1", {"a": inside}), Item(b"2", {HANDLER: "mail", "b": "c"}), Item(b"3", {HANDLER: "mail2"})
        )
        assert await queue.forget("mail") == 1
        assert [claim.body for claim in await queue.claim(9, 60)] == [b"1", b"3"]


async def test_a_put_by_another_process_ends_the_wait(postgres_server: PostgresServer) -> None:
    async with two_queues(postgres_server) as (queue, other):
        with anyio.fail_after(SOON):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(queue.wait, 3 * SOON)
                await other.put(b"1")


async def test_due_times_are_those_of_the_database(postgres_server: PostgresServer) -> None:
    # PG-6
    """A store knows how long it has to wait for the next one."""
    clock = DatabaseClock(postgres_server)
    async with clock.new_store() as store:
        queue = store.queue("orders")
        assert await queue.seconds_left() == float("inf")
        await queue.put(Item(b"1", delay=50))
        assert await queue.seconds_left() == 50
        await queue.put(b"2")
        assert await queue.seconds_left() == 0
        await queue.claim(1, 30)
        assert (await queue.seconds_left(), await queue.seconds_left(suspects=False)) == (30, 50)
        clock.move(60)
        assert [claim.body for claim in await queue.claim(9, 60)] == [b"1"]
    clock.close()
