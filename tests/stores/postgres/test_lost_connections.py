"""A server that ends connections, is killed, or does not answer: which errors come, and that the next call works."""

from __future__ import annotations

import asyncio
from time import monotonic

import anyio
import psycopg
import pytest

from modd.concurrency.loops import loop_name
from modd.ports import AlreadyHandled, StoreError
from modd.stores import PostgresStore, StoreBusy, UnknownOutcome
from modd.stores.postgres.session import Session
from tests.postgres.server import PostgresServer
from tests.stores.postgres.proxy import proxy_to
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = pytest.mark.anyio

OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE %s"


def end_connections(server: PostgresServer, query: str) -> int:
    """End the connections whose last statement is like this; return their number."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        return len(connection.execute(OTHERS, (query,)).fetchall())


async def note(session: Session, id: str) -> None:
    session.note(id)
    await session.count("INSERT INTO modd.inbox VALUES (%s, 0)", (id.encode(),))


async def test_a_call_whose_connection_is_ended_is_done_on_another_one(postgres_server: PostgresServer) -> None:
    # PG-11
    schema = new_schema()
    async with new_store(postgres_server, schema, listen=False, timeout=60) as store:
        await store.inbox.add("a")
        for number in range(3):
            assert end_connections(postgres_server, "COMMIT") >= 1
            assert await store.inbox.has("a")
            await store.inbox.has("b")
            with pytest.raises(AlreadyHandled):
                await store.inbox.add("a")
            await store.inbox.add(f"b{number}")


async def test_a_call_in_flight_is_repeated_when_its_connection_is_ended(postgres_server: PostgresServer) -> None:
    # PG-11
    schema = new_schema()
    async with new_store(postgres_server, schema, listen=False, timeout=60) as store:
        with psycopg.connect(postgres_server.url) as blocker:
            blocker.execute(f"LOCK TABLE {schema}.inbox".encode())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.inbox.add, "a")
                await until(lambda: end_connections(postgres_server, f"%INSERT INTO%{schema}%.inbox%"))
                blocker.rollback()
        assert await store.inbox.has("a")


async def test_transactions_begin_on_a_connection_that_answers(postgres_server: PostgresServer) -> None:
    # PG-11
    async with new_store(postgres_server, listen=False, timeout=60) as store:
        await store.inbox.add("a")
        for immediate in (False, True):
            assert end_connections(postgres_server, "%") >= 1
            async with store.transaction(immediate=immediate) as tx:
                assert await tx.fetch("SELECT 1") == [(1,)]
                await store.inbox.add(f"immediate={immediate}")


@pytest.mark.parametrize("immediate", [True, False])
async def test_a_transaction_whose_connection_is_ended_raises_and_writes_nothing(
    immediate: bool, postgres_server: PostgresServer
) -> None:
    # PG-11
    async with new_store(postgres_server, listen=False, timeout=60) as store:
        with pytest.raises(StoreBusy) as raised:  # noqa: PT012  # the end of the block may raise
            async with store.transaction(immediate=immediate) as tx:
                await tx.fetch("SELECT 'to be ended'")
                await store.inbox.add("a")
                end_connections(postgres_server, "%")
                await tx.fetch("SELECT 1")
        assert not isinstance(raised.value, UnknownOutcome)
        assert not await store.inbox.has("a")


async def test_a_server_that_is_killed_and_started_again(own_postgres_server: PostgresServer) -> None:
    # PG-11
    async with PostgresStore(own_postgres_server.url, timeout=0.5) as store:
        await store.inbox.add("a")
        own_postgres_server.kill()
        start = monotonic()
        for call in (store.inbox.has, store.inbox.add):
            with pytest.raises(StoreBusy, match="the database does not answer"):
                await call("a")
        with pytest.raises(StoreBusy, match="the database does not answer"):
            async with store.transaction() as tx:
                await tx.fetch("SELECT 1")
        assert monotonic() - start < 30
        own_postgres_server.start()
    async with PostgresStore(own_postgres_server.url, timeout=60) as store:
        assert await store.inbox.has("a")
        own_postgres_server.restart()
        assert await store.inbox.has("a")
        await store.inbox.add("b")
        own_postgres_server.kill_children()
        await store.inbox.add("c")


async def test_a_store_goes_on_by_itself_when_the_server_is_back(own_postgres_server: PostgresServer) -> None:
    # PG-11
    async with PostgresStore(own_postgres_server.url, timeout=60, listen=False) as store:
        own_postgres_server.kill()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.inbox.add, "a")
            await anyio.to_thread.run_sync(own_postgres_server.start)
        assert await store.inbox.has("a")


async def test_a_commit_without_an_answer_is_told_with_the_ids_that_it_puts(postgres_server: PostgresServer) -> None:
    # PG-11
    async with proxy_to(postgres_server) as proxy:  # noqa: SIM117  # in this order
        async with PostgresStore(proxy.url, schema=new_schema(), durable=False, timeout=60, listen=False) as store:
            proxy.lose_answer_of(b"COMMIT\0")
            with pytest.raises(UnknownOutcome, match="of 'order-1'") as raised:
                await store.access("put").write(note, "order-1")
            assert raised.value.ids == ("order-1",)
            proxy.lose_answer_of(b"COMMIT\0")
            with pytest.raises(UnknownOutcome) as raised:
                async with store.transaction(immediate=True):
                    await store.access("put").write(note, "order-2")
            assert raised.value.ids == ("order-2",)
            proxy.lose_answer_of(b"COMMIT\0")
            with pytest.raises(UnknownOutcome, match="a write, which may be stored or not"):
                await store.inbox.add("a")
            with pytest.raises(AlreadyHandled):
                await store.inbox.add("a")  # it was stored


async def test_a_commit_that_fails_with_an_answer_is_that_error(postgres_server: PostgresServer) -> None:
    # PG-11
    schema = new_schema()
    async with new_store(postgres_server, schema) as store:
        postgres_server.execute(
            f"ALTER TABLE {schema}.inbox ADD CONSTRAINT late UNIQUE (at) DEFERRABLE INITIALLY DEFERRED"
        )
        await store.access("put").write(note, "a")
        with pytest.raises(psycopg.errors.UniqueViolation):
            await store.access("put").write(note, "b")
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with store.transaction(immediate=True):
                await store.access("put").write(note, "c")
        await store.inbox.add("d")


async def test_a_store_closes_soon_though_the_server_is_gone(own_postgres_server: PostgresServer) -> None:
    # PG-54
    async with PostgresStore(own_postgres_server.url) as store:
        await store.inbox.add("a")
        own_postgres_server.kill()
        with pytest.raises(StoreError):  # noqa: PT012  # the end of the block may raise
            with anyio.move_on_after(0):
                await store.inbox.has("a")
            raise StoreError("x", "gone")
        start = monotonic()
    assert monotonic() - start < 10, "a pool that tries to connect would take longer"


async def test_a_store_that_is_closed_while_it_connects_leaves_no_task(postgres_server: PostgresServer) -> None:
    # PG-54
    if loop_name() == "trio":
        return  # the loop in the thread ends
    async with proxy_to(postgres_server) as proxy:
        async with PostgresStore(proxy.url, schema=new_schema(), durable=False, listen=False) as store:
            proxy.to_client = lambda data: b"" if data.startswith(b"R") else data  # no new connection is let in
            async with anyio.create_task_group() as tasks:  # more of them than there are connections
                for name in "abcdefgh":
                    tasks.start_soon(store.inbox.has, name)
            assert workers()
        assert not workers()


def workers() -> list[str]:
    """The tasks of pools in this loop."""
    return [name for name in (task.get_name() for task in asyncio.all_tasks()) if name.startswith("modd-worker")]
