"""Sessions that the application has open, of SQLAlchemy, psycopg and asyncpg: how each executes a statement of modd.

Nothing here imports SQLAlchemy or asyncpg: if a session is one of theirs, the application has imported them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple, Protocol

from psycopg import AsyncCursor, Cursor
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from modd.concurrency.loops import loop_name
from modd.errors import InvalidOption
from modd.stores.postgres.session import Parameters

WANTED = (
    "give a Session, AsyncSession, Connection or AsyncConnection of SQLAlchemy on psycopg or asyncpg, a Connection or "
    "AsyncConnection of psycopg, or a Connection of asyncpg"
)


class Driver(Protocol):
    """Executes statements in one session."""

    @property
    def database(self) -> object:
        """The engine of the session, or its connection: it stays connected to one database."""
        ...

    async def commits_each(self) -> bool:
        """Return True if no transaction is open, and a statement begins none: each would be committed alone."""
        ...

    async def rows(self, statement: bytes, parameters: Parameters) -> list[Any]:
        """Execute a statement, with placeholders ``%s``, and return its rows."""
        ...

    async def count(self, statement: bytes, parameters: Parameters) -> int:
        """Execute a statement, with placeholders ``%s``, and return the number of rows that it has changed."""
        ...


class PsycopgDriver:
    """`Driver` for a connection of psycopg, which blocks the loop while the server works."""

    def __init__(self, connection: Any) -> None:
        self.database = self._connection = connection

    async def commits_each(self) -> bool:
        """Return True if the connection is in autocommit mode, outside of a transaction."""
        return is_idle_autocommit(self._connection)

    # a cursor of this class, because the factories of the application may want other placeholders or return other rows
    async def rows(self, statement: bytes, parameters: Parameters) -> list[Any]:
        """Execute a statement, and return its rows."""
        with Cursor(self._connection, row_factory=tuple_row) as cursor:
            return cursor.execute(statement, parameters).fetchall()

    async def count(self, statement: bytes, parameters: Parameters) -> int:
        """Execute a statement, and return the number of rows that it has changed."""
        with Cursor(self._connection, row_factory=tuple_row) as cursor:
            return cursor.execute(statement, parameters).rowcount


class AsyncPsycopgDriver:
    """`Driver` for an async connection of psycopg."""

    def __init__(self, connection: Any) -> None:
        self.database = self._connection = connection

    async def commits_each(self) -> bool:
        """Return True if the connection is in autocommit mode, outside of a transaction."""
        return is_idle_autocommit(self._connection)

    async def rows(self, statement: bytes, parameters: Parameters) -> list[Any]:
        """Execute a statement, and return its rows."""
        async with AsyncCursor(self._connection, row_factory=tuple_row) as cursor:
            return await (await cursor.execute(statement, parameters)).fetchall()

    async def count(self, statement: bytes, parameters: Parameters) -> int:
        """Execute a statement, and return the number of rows that it has changed."""
        async with AsyncCursor(self._connection, row_factory=tuple_row) as cursor:
            return (await cursor.execute(statement, parameters)).rowcount


class AsyncpgDriver:
    """`Driver` for a connection of asyncpg, or one that its pool lends."""

    def __init__(self, connection: Any) -> None:
        self.database = self._connection = connection

    async def commits_each(self) -> bool:
        """Return True outside of a transaction."""
        return not self._connection.is_in_transaction()

    async def rows(self, statement: bytes, parameters: Parameters) -> list[Any]:
        """Execute a statement, and return its rows."""
        rows: list[Any] = await self._connection.fetch(number_placeholders(statement), *parameters)
        return rows

    async def count(self, statement: bytes, parameters: Parameters) -> int:
        """Execute a statement, and return the number of rows that it has changed."""
        status: str = await self._connection.execute(number_placeholders(statement), *parameters)
        return int(status.rpartition(" ")[2])  # such as "INSERT 0 1"


class SqlalchemyDriver:
    """`Driver` for a session or a connection of SQLAlchemy.

    call: calls a function with the sync session or connection and returns its result, as ``AsyncSession.run_sync``.
    """

    def __init__(self, session: Any, call: Callable[..., Awaitable[Any]]) -> None:
        self.database: object = engine_of(session)
        self._translate = PLACEHOLDERS[checked_dialect(session)]
        self._call = call

    @classmethod
    def of_sync(cls, session: Any) -> SqlalchemyDriver:
        """Return the driver for a session that blocks the loop while the server works."""

        async def call(function: Callable[..., Any], *arguments: Any) -> Any:
            return function(session, *arguments)

        return cls(session, call)

    @classmethod
    def of_async(cls, session: Any) -> SqlalchemyDriver:
        """Return the driver for an async session."""
        return cls(session, session.run_sync)

    async def commits_each(self) -> bool:
        """Return True if the isolation level is AUTOCOMMIT."""
        return bool(await self._call(is_autocommit))

    async def rows(self, statement: bytes, parameters: Parameters) -> list[Any]:
        """Execute a statement, and return its rows."""
        rows: list[Any] = await self._call(fetch_rows, self._translate(statement), tuple(parameters))
        return rows

    async def count(self, statement: bytes, parameters: Parameters) -> int:
        """Execute a statement, and return the number of rows that it has changed."""
        return int(await self._call(count_rows, self._translate(statement), tuple(parameters)))


class Kind(NamedTuple):
    """A class of sessions, as the application imports it, and their driver."""

    module: str
    name: str
    driver: Callable[[Any], Driver]
    is_async: bool


KINDS = (
    Kind("sqlalchemy.ext.asyncio", "AsyncSession", SqlalchemyDriver.of_async, is_async=True),
    Kind("sqlalchemy.ext.asyncio", "AsyncConnection", SqlalchemyDriver.of_async, is_async=True),
    Kind("sqlalchemy.orm", "Session", SqlalchemyDriver.of_sync, is_async=False),
    Kind("sqlalchemy", "Connection", SqlalchemyDriver.of_sync, is_async=False),
    Kind("psycopg", "AsyncConnection", AsyncPsycopgDriver, is_async=True),
    Kind("psycopg", "Connection", PsycopgDriver, is_async=False),
    Kind("asyncpg", "Connection", AsyncpgDriver, is_async=True),
    Kind("asyncpg.pool", "PoolConnectionProxy", AsyncpgDriver, is_async=True),
)


def driver_of(session: Any) -> Driver:
    """Return the driver for a session of the application. Raises `InvalidOption`."""
    for kind in KINDS:
        wanted = getattr(sys.modules.get(kind.module), kind.name, None)
        if wanted is not None and isinstance(session, wanted):
            if kind.is_async and loop_name() == "trio":
                raise InvalidOption("session", type(session), "it runs on asyncio only; under trio give a sync one")
            return kind.driver(session)
    raise InvalidOption("session", type(session), WANTED)


def number_placeholders(statement: bytes) -> str:
    """Return a statement with ``$1``, ``$2`` and so on in place of ``%s``."""
    numbers = count(1)
    return re.sub("%s", lambda _: f"${next(numbers)}", statement.decode())


PLACEHOLDERS: dict[str, Callable[[bytes], str]] = {"psycopg": bytes.decode, "asyncpg": number_placeholders}
"""The function that writes a statement for each driver of SQLAlchemy."""


def checked_dialect(session: Any) -> str:
    """Return the name of the driver that a session of SQLAlchemy has. Raises `InvalidOption`."""
    dialect = engine_of(session).dialect
    if dialect.name != "postgresql" or dialect.driver not in PLACEHOLDERS:
        raise InvalidOption("session", f"{type(session).__name__} on {dialect.name}+{dialect.driver}", WANTED)
    return str(dialect.driver)


def engine_of(session: Any) -> Any:
    """Return the sync engine of a session or a connection of SQLAlchemy, async or not."""
    bind = session.get_bind() if hasattr(session, "get_bind") else session
    return getattr(bind, "sync_engine", None) or bind.engine


def connection_of(session: Any) -> Any:
    """Return the connection of a sync session of SQLAlchemy, or of a connection."""
    return session.connection() if hasattr(session, "get_bind") else session


def is_autocommit(session: Any) -> bool:
    """Return True if a sync session of SQLAlchemy commits each statement alone."""
    return bool(connection_of(session).connection.dbapi_connection.autocommit)


def fetch_rows(session: Any, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
    """Execute a statement in a sync session of SQLAlchemy, and return its rows."""
    return list(connection_of(session).exec_driver_sql(statement, parameters))


def count_rows(session: Any, statement: str, parameters: tuple[Any, ...]) -> int:
    """Execute a statement in a sync session of SQLAlchemy, and return the number of rows that it has changed."""
    return int(connection_of(session).exec_driver_sql(statement, parameters).rowcount)


def is_idle_autocommit(connection: Any) -> bool:
    """Return True if a connection of psycopg commits each statement alone."""
    return bool(connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE)
