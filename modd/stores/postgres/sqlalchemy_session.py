"""Sessions of SQLAlchemy whose writes are committed together with those of a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from modd.concurrency.blocks import async_block
from modd.errors import InvalidOption
from modd.ports.errors import StoreError
from modd.stores.errors import UnknownOutcome
from modd.stores.postgres.advisory import take_for_commit
from modd.stores.postgres.commits import Committer, Reads, Writes
from modd.stores.postgres.deferred_transaction import DeferredPostgresTransaction
from modd.stores.postgres.errors import translate_errors
from modd.stores.postgres.session import ConnectionSession, is_in_order
from modd.stores.postgres.store import PostgresStore
from modd.stores.transaction import find_transaction

WANTED = "give an async_sessionmaker with an engine of postgresql+psycopg"


@async_block
async def sqlalchemy_session(store: PostgresStore, sessions: Callable[[], AsyncSession]) -> AsyncIterator[AsyncSession]:
    """Open a session of SQLAlchemy in the open transaction of a store: ``async with``, or as a resource of a bus.

    Use it in handlers that write by the ORM: its writes, the puts and events of the store and the acknowledgement of a
    worker are one commit, that of the session. It needs a deferred transaction, such as that of a worker, of
    `modd.middleware.Transactional` or of ``store.transaction()``. All blocks in one transaction share a session, and
    each is a savepoint: if it fails, its writes are undone. Do not commit or roll back in it: the transaction then
    fails.

    store: the store whose transaction is open.
    sessions: creates a session, such as an ``async_sessionmaker``. Its engine is on psycopg (``postgresql+psycopg``),
        with READ COMMITTED, and on the database of the store.

    Raises:
        InvalidOption: the session is no such one.
        TransactionInUse: a different task began the transaction.
        modd.ports.StoreError: no deferred transaction of the store is open, or the session is connected to another
            database.
    """
    transaction: Any = find_transaction(store)
    if not isinstance(transaction, DeferredPostgresTransaction):
        where = "in no transaction" if transaction is None else "in an immediate transaction"
        cure = "call it inside of `async with store.transaction()`, or in a handler of a worker, and not immediate"
        raise StoreError(store.name, f"sqlalchemy_session was called {where}; {cure}")
    transaction.check_usable("sqlalchemy_session")
    if transaction.host is None:
        transaction.host = await open_host(store, transaction, sessions())
    host: Any = transaction.host
    async with host.session.begin_nested():
        yield host.session


async def open_host(
    store: PostgresStore, transaction: DeferredPostgresTransaction, session: AsyncSession
) -> SqlalchemyHost:
    """Have a new session commit a transaction, and closed at its end."""
    if not isinstance(session, AsyncSession):
        raise InvalidOption("sessions", type(session), WANTED)
    transaction.on_end(session.close)
    access, driver = store.access_in(session), session.get_bind().dialect.driver
    if driver != "psycopg":
        raise InvalidOption("sessions", f"AsyncSession on {driver}", WANTED)
    await access.enter()
    return SqlalchemyHost(store.name, session)


class SqlalchemyHost:
    """A `Host`: the transaction of a session."""

    def __init__(self, store: str, session: AsyncSession) -> None:
        self._store, self.session = store, session
        self._begun = session.sync_session.get_transaction()

    async def savepoint(self) -> AsyncSessionTransaction:
        """Begin a savepoint, and return it."""
        return await self.session.begin_nested()

    async def roll_back(self, savepoint: AsyncSessionTransaction | None) -> None:
        """Undo what was written since a savepoint; all, if it is None."""
        if savepoint is not None:
            return await savepoint.rollback()
        await self.session.rollback()
        await self.session.begin()
        self._begun = self.session.sync_session.get_transaction()

    async def commit(self, committer: Committer, reads: Reads, writes: Writes) -> None:
        """Apply the writes in the transaction of the session, and commit it.

        The reads are compared on another connection, because this one has written already.
        """
        if self.session.sync_session.get_transaction() is not self._begun:
            cure = "leave that to the transaction of the store"
            raise StoreError(self._store, f"the session was committed, rolled back or closed in the block; {cure}")
        await self.session.flush()
        raw = await (await self.session.connection()).get_raw_connection()
        session = ConnectionSession(raw.driver_connection, committer.schema)  # type: ignore[arg-type]  # of psycopg, by the dialect
        with translate_errors(self._store):
            in_order = any(is_in_order(operation) for operation, _ in writes)
            await take_for_commit(session, alone=bool(reads), in_order=in_order)
            await committer.check(reads)
            for operation, arguments in writes:
                await operation(session, *arguments)
        try:
            await self.session.commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise UnknownOutcome(self._store, session.ids) from error
            raise
        committer.publish(session.channels)
