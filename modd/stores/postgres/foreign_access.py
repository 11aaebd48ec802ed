"""Operations of the store in a transaction of the application, which alone begins, commits and rolls it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from modd.errors import InvalidOption
from modd.ports.errors import StoreError
from modd.stores.postgres.advisory import ORDER
from modd.stores.postgres.foreign_session import Driver
from modd.stores.postgres.news import NOTIFY, news_name
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Operation, Parameters, Schema, Session, is_in_order

DATABASE = Select(
    """SELECT extract(epoch FROM pg_postmaster_start_time())::text, current_database()::text,
    coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a socket')"""
)
"""The columns by which a database differs from all others: the start of its server, and its name; then the address.

The identifier of the system would not do: a copy of the files of a server has the same, and not every user may read it.
"""


LEVEL = "SELECT current_setting('transaction_isolation')"


class ForeignSession:
    """A `Session` in a transaction of the application."""

    def __init__(self, driver: Driver, schema: Schema) -> None:
        self._driver, self.schema = driver, schema
        self.channels: set[str] = set()

    async def rows(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """Execute a statement of modd, and return its rows."""
        return await self._driver.rows(self.schema.statement(sql), parameters)

    async def count(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute a statement of modd, and return the number of rows that it has changed."""
        return await self._driver.count(self.schema.statement(sql), parameters)

    def tell(self, channel: str) -> None:
        """Have those woken who wait for this channel, when the transaction commits."""
        self.channels.add(channel)

    def note(self, *ids: str) -> None:
        """Do nothing: the application sees itself how its commit ends."""


class DatabaseCheck:
    """Compares the database of a session with that of the store, once for each engine or connection.

    store: the name of the store. read: reads in the database of the store.
    """

    def __init__(self, store: str, read: Callable[[Select], Awaitable[list[Any]]]) -> None:
        self._store, self._read = store, read
        self._own: Sequence[Any] = ()
        self._compared: WeakSet[Any] = WeakSet()

    async def check(self, driver: Driver, session: Session) -> None:
        """Raise `StoreError` if a session is connected to another database."""
        if driver.database in self._compared:
            return
        [there] = await session.rows(DATABASE.sql)
        if tuple(there) != self._own:
            [own] = await self._read(DATABASE)  # anew: the server may have been started again
            self._own = tuple(own)
        if there[:2] != self._own[:2]:
            raise StoreError(
                self._store,
                f"its database is {describe_database(self._own)}, and that of the session is "
                f"{describe_database(there)}; give a session that is connected to the database of the store",
            )
        with suppress(
            TypeError
        ):  # a connection that a pool of asyncpg lends is compared each time: it has no weak reference
            self._compared.add(driver.database)


class ForeignAccess:
    """Runs operations in a session of the application: `base.Access` without transactions of the store."""

    def __init__(self, driver: Driver, schema: Schema, database: DatabaseCheck) -> None:
        self._driver, self._schema, self._database = driver, schema, database

    async def run(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation in the open transaction, and return its result.

        Raises what the operation and the library of the session raise, `StoreError` for another database, and
        `InvalidOption` outside of a transaction, and in one that does not see what is committed meanwhile.
        """
        if await self._driver.commits_each():
            raise InvalidOption(
                "session", self._driver.database, "it commits each statement; begin a transaction first"
            )
        session = ForeignSession(self._driver, self._schema)
        await self._database.check(self._driver, session)
        await enter_transaction(session, in_order=is_in_order(operation))
        result = await operation(session, *arguments)
        if session.channels:  # in the transaction, because nobody tells the store when it commits
            await session.rows(NOTIFY, (news_name(self._schema), sorted(session.channels)))
        return result

    async def enter(self, *, in_order: bool = False) -> ForeignSession:
        """Return the session once it is sure that operations can run in it, and with their lock; raises as `run` does.

        in_order: True to take the lock for operations whose rows are numbered in the order of commits.
        """
        if await self._driver.commits_each():
            raise InvalidOption(
                "session", self._driver.database, "it commits each statement; begin a transaction first"
            )
        session = ForeignSession(self._driver, self._schema)
        await self._database.check(self._driver, session)
        await enter_transaction(session, in_order=in_order)
        return session  # pragma: no cover  # not seen behind the greenlets of SQLAlchemy


async def enter_transaction(session: Session, *, in_order: bool) -> None:
    """Take the locks of an operation, until the transaction ends. Raises `InvalidOption` for its isolation level.

    At another level a statement after a lock would not see what the lock was waited for.
    """
    if in_order:
        [[level, _]] = await session.rows(f"{LEVEL}, pg_advisory_xact_lock(%s, %s)", (session.schema.number, ORDER))
    else:
        [[level]] = await session.rows(LEVEL)
    if level != "read committed":
        raise InvalidOption("session", f"a transaction with {level}", "use READ COMMITTED, the default of PostgreSQL")


def describe_database(row: Sequence[Any]) -> str:
    """Return the name and the address of a database, for a text."""
    _, name, address = row
    return f"{name} at {address}"
