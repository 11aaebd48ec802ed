"""Sessions of SQLAlchemy in the transaction of a store: what both have written is one commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from modd import InvalidOption
from modd.cqrs import Command, CommandBus, Emit, Event
from modd.middleware import Enqueue, Transactional
from modd.ports import AlreadyHandled, ReadConflict, Stats, StoreError
from modd.stores import PostgresStore, UnknownOutcome, sqlalchemy_session
from modd.worker import Worker
from tests.postgres.server import PostgresServer
from tests.stores.postgres.sessions import address
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # where SQLAlchemy runs


class Table(DeclarativeBase):
    """The tables of the application."""


class Order(Table):
    """A table in the schema that its engine chooses."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)


class Shop:
    """A store, and an application with a table on one database."""

    def __init__(
        self, server: PostgresServer, store: PostgresStore, sessions: async_sessionmaker[AsyncSession]
    ) -> None:
        self.server, self.store, self.sessions = server, store, sessions

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session in the transaction of the store."""
        return sqlalchemy_session(self.store, self.sessions)

    async def orders(self) -> list[int]:
        """Return the orders that are committed."""
        async with self.sessions() as session:
            return [*await session.scalars(text("SELECT id FROM orders ORDER BY id"))]

    async def events(self) -> list[bytes]:
        """Return the bodies in the outbox that are committed."""
        claims = await self.store.outbox.claim(100, lease=30)
        await self.store.outbox.release(*claims)
        return [claim.body for claim in claims]


@pytest.fixture
async def shop(anyio_backend: Any, postgres_server: PostgresServer) -> AsyncIterator[Shop]:
    """Open a store, and an engine of the application whose tables are in the schema of the store."""
    schema = new_schema()
    async with new_store(postgres_server, schema) as store, sessions_of(postgres_server, schema) as sessions:
        async with sessions.begin() as session:
            await session.run_sync(lambda sync: Table.metadata.create_all(sync.connection()))
        yield Shop(postgres_server, store, sessions)


@asynccontextmanager
async def sessions_of(
    server: PostgresServer, schema: str, driver: str = "psycopg", **options: Any
) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Open an engine that finds its tables in a schema."""
    search = {"options": f"-c search_path={schema}"} if driver == "psycopg" else {}
    engine = create_async_engine(address(server.url, driver), poolclass=NullPool, connect_args=search, **options)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await engine.dispose()


# PG-70
async def test_writes_of_the_session_and_of_the_store_are_committed_together(shop: Shop) -> None:
    async with shop.store.transaction():
        async with shop.session() as session:
            session.add(Order(id=1))
            await shop.store.outbox.put(b"placed 1")
        async with shop.session() as again:
            assert again is session
        await shop.store.inbox.add("message-1")
        assert await shop.orders() == []
    assert await shop.orders() == [1]
    assert await shop.events() == [b"placed 1"]
    assert await shop.store.inbox.has("message-1")


# PG-70
@pytest.mark.parametrize("end", [AsyncSession.commit, AsyncSession.rollback, AsyncSession.close])
async def test_a_session_that_the_block_ends_itself_is_told(shop: Shop, end: Callable[..., Awaitable[None]]) -> None:
    with pytest.raises(StoreError, match="the session was committed, rolled back or closed in the block"):
        await end_in_transaction(shop, end)
    assert not await shop.store.inbox.has("message-1")


async def end_in_transaction(shop: Shop, end: Callable[..., Awaitable[None]]) -> None:
    async with shop.store.transaction():
        async with shop.session() as session:
            await session.execute(text("SELECT 1"))
            await end(session)
        await shop.store.inbox.add("message-1")


# PG-70
async def test_a_transaction_that_fails_leaves_nothing_of_either(shop: Shop) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_in_transaction(shop, 1)
    assert await shop.orders() == []
    assert await shop.events() == []


# PG-70
async def test_a_write_of_the_store_that_fails_at_the_commit_undoes_the_session(shop: Shop) -> None:
    await shop.store.inbox.add("message-1")
    with pytest.raises(AlreadyHandled):
        await handle(shop, "message-1")
    assert await shop.orders() == []


async def handle(shop: Shop, id: str) -> None:
    """Write an order, and note the id of a message as handled."""
    async with shop.store.transaction(), shop.session() as session:
        session.add(Order(id=1))
        await shop.store.inbox.add(id)


# PG-70
async def test_a_savepoint_of_the_store_that_fails_undoes_the_session_since_it_began(shop: Shop) -> None:
    async with shop.store.transaction() as tx:
        with pytest.raises(ZeroDivisionError):
            await fail_in_transaction(shop, 1)  # it opens the session
        async with shop.session() as session:
            session.add(Order(id=2))
        with pytest.raises(ZeroDivisionError):
            await fail_in_transaction(shop, 3)
        async with tx.savepoint(), shop.session() as session:
            session.add(Order(id=4))
    assert await shop.orders() == [2, 4]
    assert await shop.events() == []


async def fail_in_transaction(shop: Shop, number: int) -> None:
    """Write an order and an event in a transaction, or a savepoint, that fails."""
    async with shop.store.transaction():
        async with shop.session() as session:
            session.add(Order(id=number))
        await shop.store.outbox.put(b"placed")
        raise ZeroDivisionError


# PG-70
async def test_a_block_that_fails_undoes_its_own_writes(shop: Shop) -> None:
    async with shop.store.transaction():
        with pytest.raises(ZeroDivisionError):
            await fail_in_block(shop)
        async with shop.session() as session:
            session.add(Order(id=2))
    assert await shop.orders() == [2]


async def fail_in_block(shop: Shop) -> None:
    """Write an order in a block that fails."""
    async with shop.session() as session:
        session.add(Order(id=1))
        await session.flush()
        raise ZeroDivisionError


# PG-70
async def test_a_read_that_another_writer_has_changed_is_a_conflict_and_one_of_the_session_is_none(shop: Shop) -> None:
    count = f"SELECT count(*) FROM {shop.store.schema.name}.orders"
    async with shop.store.transaction() as tx:
        assert await tx.fetch(count) == [(0,)]
        async with shop.session() as session:
            session.add(Order(id=1))
    with pytest.raises(ReadConflict):
        await read_and_be_overtaken(shop, count)
    assert await shop.orders() == [1, 3]


async def read_and_be_overtaken(shop: Shop, sql: str) -> None:
    """Read, and write an order, while another writer writes one."""
    async with shop.store.transaction() as tx:
        await tx.fetch(sql)
        async with shop.session() as session:
            session.add(Order(id=2))
        async with shop.sessions.begin() as other:
            other.add(Order(id=3))


class PlaceOrder(Command[None]):
    """Place an order."""

    id: int


class OrderPlaced(Event):
    """An order was placed."""

    id: int


# PG-70
async def test_a_handler_gets_the_session_as_a_resource_and_its_events_are_in_the_same_commit(shop: Shop) -> None:
    async def place_order(command: PlaceOrder, session: AsyncSession, emit: Emit) -> None:
        session.add(Order(id=command.id))
        emit(OrderPlaced(command.id))
        if command.id == 2:
            raise ZeroDivisionError

    bus = CommandBus([place_order], middleware=[Transactional(shop.store)], resources={AsyncSession: shop.session})
    await bus.ask(PlaceOrder(1))
    with pytest.raises(ZeroDivisionError):
        await bus.ask(PlaceOrder(2))
    assert await shop.orders() == [1]
    assert len(await shop.events()) == 1


# PG-70
async def test_a_worker_acknowledges_in_the_commit_of_the_session(shop: Shop) -> None:
    async def place_order(command: PlaceOrder, session: AsyncSession, emit: Emit) -> None:
        session.add(Order(id=command.id))
        emit(OrderPlaced(command.id))
        await session.flush()
        attempts.append(command.id)
        if len(attempts) == 1:
            raise ZeroDivisionError

    attempts: list[int] = []
    queue = shop.store.queue("orders")
    bus = CommandBus([place_order], resources={AsyncSession: shop.session})
    sender = CommandBus([place_order], middleware=[Enqueue(queue)], resources={AsyncSession: shop.session})
    await sender.dispatch(PlaceOrder(1))
    await Worker(queue, bus, inbox=shop.store.inbox, backoff="none").run_until_idle()
    assert attempts == [1, 1]
    assert await shop.orders() == [1]
    assert len(await shop.events()) == 1
    assert await queue.stats() == Stats(0, 0, 0, 0)


# PG-70
async def test_without_a_transaction_that_defers_its_writes_there_is_no_session(shop: Shop) -> None:
    with pytest.raises(StoreError, match="in no transaction"):
        await shop.session().__aenter__()
    async with shop.store.transaction(immediate=True):
        with pytest.raises(StoreError, match="in an immediate transaction"):
            await shop.session().__aenter__()


# PG-70
@pytest.mark.parametrize(
    ("driver", "level", "problem"),
    [
        ("asyncpg", "READ COMMITTED", r"AsyncSession on asyncpg.*postgresql\+psycopg"),
        ("psycopg", "SERIALIZABLE", "a transaction with serializable"),
        ("psycopg", "AUTOCOMMIT", "begin a transaction"),
    ],
)
async def test_a_session_that_cannot_commit_for_the_store_is_refused(
    shop: Shop, driver: str, level: str, problem: str
) -> None:
    async with sessions_of(shop.server, "public", driver, isolation_level=level) as sessions:
        with pytest.raises(InvalidOption, match=problem):
            await use_once(shop.store, sessions)


# PG-70
async def test_a_sync_session_cannot_commit_for_the_store(shop: Shop) -> None:
    sessions: Any = sessionmaker(create_engine("sqlite://"))
    with pytest.raises(InvalidOption, match="async_sessionmaker"):
        await use_once(shop.store, sessions)


async def use_once(store: PostgresStore, sessions: async_sessionmaker[AsyncSession]) -> None:
    """Open a session in a transaction of its own."""
    async with store.transaction(), sqlalchemy_session(store, sessions):
        pass


AT_COMMIT = """CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON {schema}.orders DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION {schema}.fail()"""
"""Fails when a transaction commits that has inserted an order."""


# PG-70
async def test_a_commit_of_the_session_that_fails_is_told_as_sqlalchemy_does(shop: Shop) -> None:
    fail_at_commit(shop, "RAISE EXCEPTION 'no'")
    with pytest.raises(DBAPIError, match="no"):
        await place(shop)
    assert await shop.events() == []


# PG-70
async def test_a_connection_that_is_lost_in_the_commit_of_the_session_is_an_unknown_outcome(shop: Shop) -> None:
    fail_at_commit(shop, "PERFORM pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(UnknownOutcome):
        await place(shop)
    assert await shop.events() == []


def fail_at_commit(shop: Shop, what: str) -> None:
    """Have the server do something when an order is committed."""
    for statement in AT_COMMIT.format(schema=shop.store.schema.name, what=what).split("$$;\n"):
        shop.server.execute(statement if "CONSTRAINT" in statement else f"{statement}$$")


async def place(shop: Shop) -> None:
    """Write an order and an event."""
    async with shop.store.transaction(), shop.session() as session:
        session.add(Order(id=1))
        await shop.store.outbox.put(b"placed 1")
