"""Sessions of an application, of each library that a store can join, all used in the same way by the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import asyncpg  # type: ignore[import-untyped]  # it has no types
import psycopg
from psycopg.rows import dict_row
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session


class Application(NamedTuple):
    """A session, and what its application does with it."""

    session: Any
    execute: Callable[[str], Awaitable[object]]
    commit: Callable[[], Awaitable[object]]
    rollback: Callable[[], Awaitable[object]]
    savepoint: Callable[[], AbstractAsyncContextManager[object]]


Open = Callable[[str], AbstractAsyncContextManager[Application]]
"""Opens a session at the address of a database."""


def as_async(function: Callable[..., object]) -> Callable[..., Awaitable[object]]:
    """Return an async function that calls one that is not."""

    async def call(*arguments: Any) -> object:
        return function(*arguments)

    return call


def async_block(block: Callable[[], Any]) -> Callable[[], AbstractAsyncContextManager[object]]:
    """Return an async block for one that is not."""

    @asynccontextmanager
    async def enter() -> AsyncIterator[None]:
        with block():
            yield

    return enter


@contextmanager
def an_engine(url: str) -> Any:
    """Open a sync engine of SQLAlchemy."""
    engine = create_engine(address(url, "psycopg"), poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


@asynccontextmanager
async def an_async_engine(url: str, driver: str) -> AsyncIterator[Any]:
    """Open an async engine of SQLAlchemy."""
    engine = create_async_engine(address(url, driver), poolclass=NullPool)
    try:
        yield engine
    finally:
        await engine.dispose()


def address(url: str, driver: str) -> str:
    """Return the address of a database for a driver of SQLAlchemy."""
    return url.replace("postgresql:", f"postgresql+{driver}:")


def of_sqlalchemy(session: Any) -> Application:
    """Return a sync session or connection."""
    execute = as_async(lambda sql: session.execute(text(sql)))
    return Application(
        session, execute, as_async(session.commit), as_async(session.rollback), async_block(session.begin_nested)
    )


def of_async_sqlalchemy(session: AsyncSession | AsyncConnection) -> Application:
    """Return an async session or connection."""
    return Application(
        session, lambda sql: session.execute(text(sql)), session.commit, session.rollback, session.begin_nested
    )


def async_session(driver: str) -> Open:
    """Return what opens an ``AsyncSession``."""

    @asynccontextmanager
    async def open_session(url: str) -> AsyncIterator[Application]:
        async with an_async_engine(url, driver) as engine, AsyncSession(engine) as session:
            yield of_async_sqlalchemy(session)

    return open_session


def async_connection(driver: str) -> Open:
    """Return what opens an ``AsyncConnection`` of SQLAlchemy."""

    @asynccontextmanager
    async def open_session(url: str) -> AsyncIterator[Application]:
        async with an_async_engine(url, driver) as engine, engine.connect() as connection:
            yield of_async_sqlalchemy(connection)

    return open_session


@asynccontextmanager
async def session(url: str) -> AsyncIterator[Application]:
    """Open a ``Session``."""
    with an_engine(url) as engine, Session(engine) as opened:
        yield of_sqlalchemy(opened)


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[Application]:
    """Open a ``Connection`` of SQLAlchemy."""
    with an_engine(url) as engine, engine.connect() as opened:
        yield of_sqlalchemy(opened)


@asynccontextmanager
async def psycopg_connection(url: str) -> AsyncIterator[Application]:
    """Open a connection of psycopg whose cursors have other placeholders and rows."""
    options: Any = {"cursor_factory": psycopg.RawCursor, "row_factory": dict_row}
    with psycopg.connect(url, **options) as opened:
        yield Application(
            opened,
            as_async(lambda sql: opened.execute(sql.encode())),
            as_async(opened.commit),
            as_async(opened.rollback),
            async_block(opened.transaction),
        )


@asynccontextmanager
async def async_psycopg_connection(url: str) -> AsyncIterator[Application]:
    """Open an async connection of psycopg."""
    options: Any = {"row_factory": dict_row}
    async with await psycopg.AsyncConnection.connect(url, **options) as opened:
        yield Application(
            opened, lambda sql: opened.execute(sql.encode()), opened.commit, opened.rollback, opened.transaction
        )


class AsyncpgTransactions:
    """A connection of asyncpg with a transaction, which is followed by another one.

    opened: the connection.
    """

    def __init__(self, opened: Any) -> None:
        self.opened = opened

    async def begin(self) -> Application:
        """Begin the first one."""
        self.current = self.opened.transaction()
        await self.current.start()
        return Application(self.opened, self.opened.execute, self.commit, self.rollback, self.opened.transaction)

    async def commit(self) -> None:
        """Commit, and begin the next one."""
        await self.current.commit()
        await self.begin()

    async def rollback(self) -> None:
        """Roll back, and begin the next one."""
        await self.current.rollback()
        await self.begin()


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[Application]:
    """Open a connection of asyncpg."""
    opened = await asyncpg.connect(url)
    try:
        yield await AsyncpgTransactions(opened).begin()
    finally:
        await opened.close()


@asynccontextmanager
async def asyncpg_pool_connection(url: str) -> AsyncIterator[Application]:
    """Borrow a connection of a pool of asyncpg."""
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, pool.acquire() as opened:
        transactions = AsyncpgTransactions(opened)
        yield await transactions.begin()
        await transactions.current.rollback()


SYNC: dict[str, Open] = {
    "SQLAlchemy Session": session,
    "SQLAlchemy Connection": connection,
    "psycopg Connection": psycopg_connection,
}


ASYNC: dict[str, Open] = {
    "SQLAlchemy AsyncSession on psycopg": async_session("psycopg"),
    "SQLAlchemy AsyncSession on asyncpg": async_session("asyncpg"),
    "SQLAlchemy AsyncConnection on psycopg": async_connection("psycopg"),
    "SQLAlchemy AsyncConnection on asyncpg": async_connection("asyncpg"),
    "psycopg AsyncConnection": async_psycopg_connection,
    "asyncpg Connection": asyncpg_connection,
    "asyncpg Connection of a pool": asyncpg_pool_connection,
}


CASES = [
    *(("asyncio", name) for name in (*SYNC, *ASYNC)),
    *(("trio", name) for name in SYNC),
]
"""Each kind of session with each loop that it can be used in."""
