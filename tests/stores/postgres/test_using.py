"""Parts of a store in a transaction of the application: it alone begins, commits and rolls back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import asyncpg  # type: ignore[import-untyped]  # it has no types
import psycopg
import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session as OrmSession

from modd import InvalidOption
from modd.ports import AlreadyHandled, Item, PutResult, StoreError
from modd.stores import PostgresStore, StoreClosed
from modd.stores.postgres.advisory import ORDER
from modd.stores.postgres.inbox import SessionInbox, add_id, is_recorded
from modd.stores.postgres.news import news_name
from modd.stores.postgres.session import Operation, in_order
from tests.postgres.server import PostgresServer
from tests.stores.postgres.sessions import ASYNC, CASES, SYNC, Application, Open, address, an_engine
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = pytest.mark.anyio

of_each_kind = pytest.mark.parametrize(("anyio_backend", "kind"), CASES)

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])

on_trio = pytest.mark.parametrize("anyio_backend", ["trio"])

WEIRD = "order 7\0"
"""An id that a text of PostgreSQL cannot have."""


class Shop:
    """A store and an application on one database; its orders are in a table of the schema of the store."""

    def __init__(self, server: PostgresServer, store: PostgresStore, kind: str) -> None:
        self.server, self.store = server, store
        self._open: Open = {**SYNC, **ASYNC}[kind]
        self.orders = f"{store.schema.name}.orders"
        server.execute(f"CREATE TABLE {self.orders} (id int)")

    @asynccontextmanager
    async def application(self, database: str = "postgres") -> AsyncIterator[Application]:
        """Open a session of the application."""
        async with self._open(self.server.url_of(database)) as application:
            yield application

    async def add_order(self, application: Application) -> None:
        """Insert an order in the open transaction."""
        await application.execute(f"INSERT INTO {self.orders} VALUES (7)")

    def count_orders(self) -> int:
        """Return the number of orders that are committed."""
        with psycopg.connect(self.server.url) as connection:
            [[number]] = connection.execute(f"SELECT count(*) FROM {self.orders}".encode()).fetchall()
            return int(number)


@pytest.fixture
async def shop(anyio_backend: Any, postgres_server: PostgresServer, kind: str) -> AsyncIterator[Shop]:
    """Open a store, and an application with this kind of session."""
    async with new_store(postgres_server) as store:
        yield Shop(postgres_server, store, kind)


# PG-9
@of_each_kind
async def test_an_id_is_recorded_with_the_order_or_not_at_all(shop: Shop) -> None:
    inbox = shop.store.inbox
    async with shop.application() as application:
        await shop.add_order(application)
        await inbox.using(application.session).add(WEIRD)
        assert await inbox.using(application.session).has(WEIRD)
        assert not await inbox.has(WEIRD)  # nothing is committed
        await application.rollback()
        assert not await inbox.using(application.session).has(WEIRD)
        await shop.add_order(application)
        await inbox.using(application.session).add(WEIRD)
        assert shop.count_orders() == 0
        await application.commit()
    assert await inbox.has(WEIRD)
    assert shop.count_orders() == 1


# PG-9
@of_each_kind
async def test_a_savepoint_that_is_rolled_back_takes_its_writes_with_it(shop: Shop) -> None:
    inbox = shop.store.inbox
    async with shop.application() as application:
        await shop.add_order(application)
        with pytest.raises(ZeroDivisionError):
            await fail_in_savepoint(application, inbox.using(application.session))
        async with application.savepoint():
            await inbox.using(application.session).add("there")
        await application.commit()
    assert await inbox.has("there")
    assert not await inbox.has("lost")
    assert shop.count_orders() == 1


async def fail_in_savepoint(application: Application, inbox: SessionInbox) -> None:
    """Record an id in a savepoint that is rolled back."""
    async with application.savepoint():
        await inbox.add("lost")
        raise ZeroDivisionError


# PG-9
@of_each_kind
async def test_an_id_that_is_recorded_is_told_and_the_transaction_goes_on(shop: Shop) -> None:
    await shop.store.inbox.add("first")
    async with shop.application() as application:
        with pytest.raises(AlreadyHandled):
            await shop.store.inbox.using(application.session).add("first")
        await shop.add_order(application)
        await application.commit()
    assert shop.count_orders() == 1


# PG-9
@of_each_kind
async def test_items_of_the_outbox_are_there_with_the_order_or_not_at_all(shop: Shop) -> None:
    outbox = shop.store.outbox
    item = Item(b"placed", id="event-7", key="Ada \0", headers={"about": "\0"})
    async with shop.application() as application:
        assert await outbox.using(application.session).put(item) == ["event-7"]
        await application.rollback()
        await shop.add_order(application)
        assert await outbox.using(application.session).put() == []
        ids = await outbox.using(application.session).put(item, b"mailed")
        assert await outbox.claim(9, lease=30) == []
        await application.commit()
    claims = await outbox.claim(9, lease=30)
    assert [(claim.id, claim.body) for claim in claims] == [("event-7", b"placed"), (ids[1], b"mailed")]
    assert (claims[0].key, claims[0].headers) == (item.key, item.headers)
    assert shop.count_orders() == 1


# PG-9
@of_each_kind
async def test_items_of_a_queue_are_there_with_the_order_or_not_at_all(shop: Shop) -> None:
    queue = shop.store.queue("mails")
    item = Item(b"to Ada", id="mail-7", key="Ada", headers={"about": "\0"})
    async with shop.application() as application:
        assert await queue.using(application.session).put(item) == [PutResult("mail-7", False)]
        await application.rollback()
        await shop.add_order(application)
        assert await queue.using(application.session).put() == []
        results = await queue.using(application.session).put(item, item, b"to Bob", Item(b"later", delay=600.0))
        assert [result.duplicate for result in results] == [False, True, False, False]
        assert await queue.claim(9, lease=30) == []
        await application.commit()
    claims = await queue.claim(9, lease=30)
    assert [(claim.id, claim.body) for claim in claims] == [("mail-7", b"to Ada"), (results[2].id, b"to Bob")]
    assert (claims[0].key, claims[0].headers) == (item.key, item.headers)
    assert (await queue.stats()).delayed == 1
    assert shop.count_orders() == 1


# PG-9
@of_each_kind
async def test_a_worker_that_waits_is_told_at_the_commit_of_the_application(shop: Shop) -> None:
    await shop.store.queue("mails").put(b"registers the queue")
    [claim] = await shop.store.queue("mails").claim(1, lease=600)
    await shop.store.queue("mails").ack(claim)
    await is_told(shop, lambda store: store.queue("mails"))


# PG-9
@of_each_kind
async def test_a_relay_that_waits_is_told_at_the_commit_of_the_application(shop: Shop) -> None:
    await is_told(shop, lambda store: store.outbox)


# PG-9
@of_each_kind
async def test_the_first_put_of_a_queue_holds_no_other_one_up(shop: Shop) -> None:
    async with shop.application() as application:
        await shop.store.queue("mails").using(application.session).put(b"1")
        await shop.store.queue("mails").using(application.session).put()
        async with new_store(shop.server, shop.store.schema.name) as other:
            await other.queue("mails").put(b"2")
        await application.rollback()
    assert (await shop.store.queue("mails").stats()).ready == 1


async def is_told(shop: Shop, part_of: Callable[[PostgresStore], Any]) -> None:
    """Wait for an item of a part in another store, which only looks when it is told; and put one in a session."""
    long = 600.0
    async with shop.application() as application, new_store(shop.server, shop.store.schema.name, poll=long) as other:
        await listening(shop.server, other)
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(long / 10):
                tasks.start_soon(part_of(other).wait, long)
                await part_of(shop.store).using(application.session).put(b"placed")
                await application.commit()
                await part_of(other).wait(long)


async def listening(server: PostgresServer, store: PostgresStore) -> None:
    """Return when a store and the other one of its schema listen."""
    sql = f"SELECT 1 FROM pg_stat_activity WHERE query = 'LISTEN {news_name(store.schema)}' AND state = 'idle'"
    with psycopg.connect(server.url, autocommit=True) as connection:
        await until(lambda: len(connection.execute(sql.encode()).fetchall()) >= 2)


# PG-9
@of_each_kind
async def test_an_operation_in_order_has_its_lock_until_the_transaction_ends(shop: Shop) -> None:
    async with shop.application() as application:
        await shop.store.outbox.using(application.session).put(b"placed")
        assert not is_order_free(shop)
        await application.rollback()
        assert is_order_free(shop)


def is_order_free(shop: Shop) -> bool:
    """Return True if no transaction has the lock of operations in order."""
    with psycopg.connect(shop.server.url) as connection:
        sql = "SELECT pg_try_advisory_xact_lock(%s, %s)"
        [[is_free]] = connection.execute(sql, (shop.store.schema.number, ORDER)).fetchall()
        return bool(is_free)


# PG-10
@of_each_kind
async def test_a_session_on_another_database_is_refused_at_the_first_call_with_both_names(shop: Shop) -> None:
    elsewhere = new_schema()
    shop.server.execute(f"CREATE DATABASE {elsewhere}")
    async with shop.application(elsewhere) as application:
        inbox = shop.store.inbox.using(application.session)
        for _ in range(2):
            with pytest.raises(StoreError, match=rf"database is postgres at 127.* session is {elsewhere} at 127"):
                await inbox.add("order-7")
    async with shop.application() as application:
        await shop.store.inbox.using(application.session).add("order-7")


# PG-10
async def test_a_session_on_a_database_of_this_name_on_another_server_is_refused(
    postgres_server: PostgresServer, own_postgres_server: PostgresServer
) -> None:
    async with new_store(postgres_server) as store:
        with psycopg.connect(own_postgres_server.url) as connection:  # noqa: SIM117  # what is expected is apart
            with pytest.raises(StoreError, match=rf":{postgres_server.port}.* at .*:{own_postgres_server.port};"):
                await store.inbox.using(connection).add("order-7")


# PG-10
async def test_after_a_restart_of_the_server_a_new_session_is_compared_with_the_server_of_now(
    own_postgres_server: PostgresServer,
) -> None:
    async with new_store(own_postgres_server) as store:
        with psycopg.connect(own_postgres_server.url) as connection:
            await store.inbox.using(connection).add("before")
        own_postgres_server.restart()
        with psycopg.connect(own_postgres_server.url) as connection:
            await store.inbox.using(connection).add("after")
        assert await store.inbox.has("after")


# PG-10
async def test_an_engine_is_compared_once(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        with an_engine(postgres_server.url) as engine:
            with OrmSession(engine) as session:
                await store.inbox.using(session).add("first")
            store._database._own = ("another", "server")  # would be read anew
            with OrmSession(engine) as session:
                await store.inbox.using(session).add("second")
            assert store._database._own == ("another", "server")


# PG-9
async def test_anything_else_is_refused_with_what_can_be_given(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        for wrong in (None, "postgresql://localhost/shop", object(), create_engine("sqlite://")):
            with pytest.raises(InvalidOption, match=r"AsyncSession.*asyncpg"):
                store.inbox.using(wrong)


# PG-9
async def test_a_session_of_sqlalchemy_on_another_database_system_is_refused(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        with (
            OrmSession(create_engine("sqlite://")) as session,
            pytest.raises(InvalidOption, match=r"Session on sqlite\+pysqlite"),
        ):
            store.inbox.using(session)


# PG-9
@on_trio
@pytest.mark.measured_on_trio
async def test_under_trio_an_async_session_is_refused(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        session = AsyncSession(create_async_engine(address(postgres_server.url, "psycopg")))
        with pytest.raises(InvalidOption, match="under trio give a sync one"):
            store.inbox.using(session)


# PG-9
async def test_a_sync_connection_that_commits_each_statement_is_refused(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            with pytest.raises(InvalidOption, match="begin a transaction"):
                await store.inbox.using(connection).add("alone")
            with connection.transaction():
                await store.inbox.using(connection).add("in a transaction")
        engine = create_engine(
            address(postgres_server.url, "psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        with OrmSession(engine) as session, pytest.raises(InvalidOption, match="begin a transaction"):
            await store.inbox.using(session).add("alone")
        assert await store.inbox.has("in a transaction")
        assert not await store.inbox.has("alone")


# PG-9
@on_asyncio
async def test_an_async_connection_that_commits_each_statement_is_refused(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        connection = await asyncpg.connect(postgres_server.url)
        with pytest.raises(InvalidOption, match="begin a transaction"):
            await store.inbox.using(connection).add("alone")
        await connection.close()
        async with await psycopg.AsyncConnection.connect(postgres_server.url, autocommit=True) as opened:
            with pytest.raises(InvalidOption, match="begin a transaction"):
                await store.inbox.using(opened).add("alone")
        for driver in ("psycopg", "asyncpg"):
            url = address(postgres_server.url, driver)
            engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
            async with AsyncSession(engine) as session:
                with pytest.raises(InvalidOption, match="begin a transaction"):
                    await store.inbox.using(session).add("alone")
        assert not await store.inbox.has("alone")


# PG-9
@pytest.mark.parametrize("operation", [in_order(partial(add_id)), is_recorded])
async def test_a_transaction_that_does_not_see_what_is_committed_is_refused(
    postgres_server: PostgresServer, operation: Operation
) -> None:
    async with new_store(postgres_server) as store:
        with psycopg.connect(postgres_server.url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with pytest.raises(InvalidOption, match=r"a transaction with repeatable read.*use READ COMMITTED"):
                await store.access_in(connection).run(operation, "order-7", 60.0)


# PG-9
async def test_a_store_that_is_not_open_has_no_part_for_a_session(postgres_server: PostgresServer) -> None:
    store = new_store(postgres_server)
    with psycopg.connect(postgres_server.url) as connection, pytest.raises(StoreClosed):
        store.inbox.using(connection)


# PG-9
async def test_an_id_that_is_no_text_is_refused_before_anything_is_executed(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        with psycopg.connect(postgres_server.url) as connection:
            for id in (7, "half a character: \ud83d"):
                with pytest.raises(InvalidOption):
                    await store.inbox.using(connection).add(id)  # type: ignore[arg-type]  # the mistake
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
