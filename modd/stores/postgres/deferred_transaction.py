"""Transactions that apply their writes when their block ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from contextvars import Token
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

import anyio
import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from modd.concurrency.blocks import async_block
from modd.errors import NotEntered
from modd.ports.transaction import Parameters, open_transaction
from modd.stores.errors import ResultNeeded
from modd.stores.postgres.commits import Committer, Reads, Writes
from modd.stores.postgres.connections import ping
from modd.stores.postgres.errors import DatabaseFailed, translate_errors
from modd.stores.postgres.select import ReadStatement
from modd.stores.postgres.session import ConnectionSession, Operation
from modd.stores.postgres.transaction import Owner, PostgresTransaction

BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Host(Protocol):
    """A transaction of the application, such as one of SQLAlchemy, whose commit is that of a deferred transaction."""

    async def savepoint(self) -> Any:
        """Begin a savepoint, and return it."""
        ...

    async def roll_back(self, savepoint: Any) -> None:
        """Undo what was written since a savepoint; all, if it is None."""
        ...

    async def commit(self, committer: Committer, reads: Reads, writes: Writes) -> None:
        """Commit, with these writes, if no read has changed."""
        ...


class DeferredPostgresTransaction(PostgresTransaction):
    """A transaction that collects its writes, and applies them when its block ends.

    It reads the state of the database at its first read, without its own writes.
    """

    is_deferred: ClassVar[bool] = True
    host: Host | None = None
    """The transaction that commits this one; None for one of the store's own."""
    _token: Token[Any] | None = None

    def __init__(self, store: Owner, committer: Committer) -> None:
        super().__init__(store)
        self._committer = committer
        self._stack = AsyncExitStack()
        self._session: ConnectionSession | None = None
        self._writes: list[tuple[Operation, tuple[Any, ...]]] = []
        self._reads: list[tuple[ReadStatement, bytes]] = []

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Collect an operation for the commit."""
        self._writes.append((operation, arguments))

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Raise `ResultNeeded`, because nothing is written before the commit."""
        raise ResultNeeded(call)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that reads, and return its rows. Raises `ResultNeeded` for one that writes."""
        try:
            return await super().fetch(sql, parameters)
        except DatabaseFailed as error:
            if not isinstance(error.__cause__, errors.ReadOnlySqlTransaction):
                raise  # pragma: no cover  # a disk that fails under a read
            raise ResultNeeded("a statement that writes and has rows") from error

    async def read(self, query: ReadStatement) -> list[Any]:
        """Return the rows of a statement in the snapshot; the commit finds out if they have changed."""
        if self._session is None:
            self._session = await self._open()
        session = self._session
        with translate_errors(self.store.name):
            rows, digest = await self._committer.connections.calls.run(lambda: read_in_snapshot(session, query))
        self._reads.append((query, digest))
        return rows

    @async_block
    async def savepoint(self) -> AsyncIterator[PostgresTransaction]:
        """Run a block whose writes are dropped if it fails."""
        self.check_usable("savepoint")
        writes, mark = len(self._writes), self.mark()
        savepoint = None if self.host is None else await self.host.savepoint()
        try:
            yield self
        except BaseException:
            del self._writes[writes:]
            self.undo_to(mark)
            if self.host is not None:
                with anyio.CancelScope(shield=True):
                    await self.host.roll_back(savepoint)
            raise

    async def __aenter__(self) -> Self:
        self._token = open_transaction.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is None:
            raise NotEntered("the transaction")
        open_transaction.reset(self._token)
        self._token = None
        self.end()
        try:
            await self._stack.aclose()
            if error is None:
                if self.host is not None:
                    await self.host.commit(self._committer, self._reads, self._writes)
                elif self._writes or len(self._reads) > 1:
                    await self._committer.commit(self._reads, self._writes)
                await self.run_commit_hooks()
        finally:
            await self.run_end_hooks()

    async def _open(self) -> ConnectionSession:
        connection = await self._stack.enter_async_context(self._committer.connections.hold(ping))
        return ConnectionSession(connection, self._committer.schema)


async def read_in_snapshot(session: ConnectionSession, query: ReadStatement) -> tuple[list[Any], bytes]:
    """Return the rows of a statement, and the digest by which a later change of them is found.

    After a statement that fails, the next one begins another snapshot; the commit looks at all reads anyway.
    """
    if session.connection.info.transaction_status == TransactionStatus.IDLE:
        await session.run(BEGIN_SNAPSHOT)
    try:
        rows = await query.rows(session)
        return rows, await query.digest(session, rows)
    except psycopg.Error:
        if not session.connection.broken:
            await session.run("ROLLBACK")
        raise
