"""Transactions that write at once, in one transaction of the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar, TypeVar

import anyio
from psycopg.pq import TransactionStatus

from modd.concurrency.blocks import async_block
from modd.concurrency.loop_calls import last_step
from modd.ports.errors import ReadConflict, StoreError
from modd.ports.transaction import open_transaction
from modd.stores.errors import TransactionTimeout, UnknownOutcome
from modd.stores.postgres.advisory import ORDER, take_alone, take_for_block
from modd.stores.postgres.attempts import begin_to_write
from modd.stores.postgres.commits import LAST_WAIT, Committer
from modd.stores.postgres.errors import REPEATABLE, is_lost, translate_errors
from modd.stores.postgres.select import ReadStatement
from modd.stores.postgres.session import ConnectionSession, Operation, is_in_order
from modd.stores.postgres.transaction import Owner, PostgresTransaction

T = TypeVar("T")


CALL, BLOCK = "modd_call", "modd_block"
"""The names of savepoints: around an operation, and around a `PostgresTransaction.savepoint` block."""


UNDONE = "a statement of the transaction was cancelled or failed, and the database has undone all of it; run it again"
"""The text for a transaction that the database has given up, though its block goes on."""


class ImmediatePostgresTransaction(PostgresTransaction):
    """A transaction that writes at once and reads its own writes. Other writers wait, so that its time is limited."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, store: Owner, committer: Committer, max_seconds: float) -> None:
        super().__init__(store)
        self._committer, self._max_seconds = committer, max_seconds
        self._session: ConnectionSession | None = None
        self._is_committing = False

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation, and return its result; if it fails, the transaction is as it was before."""

        async def run(session: ConnectionSession) -> Any:
            if is_in_order(operation):
                await take_alone(session, ORDER)
            return await operation(session, *arguments)

        return await self._run(lambda session: run_in_savepoint(session, run))

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation, and return its result."""
        return await self.write(operation, *arguments)

    async def read(self, query: ReadStatement) -> list[Any]:
        """Return the rows of a statement, the transaction's own writes included."""
        return await self._run(lambda session: run_in_savepoint(session, query.rows))

    @async_block
    async def savepoint(self) -> AsyncIterator[PostgresTransaction]:
        """Run a block whose writes are undone if it fails."""
        self.check_usable("savepoint")
        mark = self.mark()
        await self._execute(f"SAVEPOINT {BLOCK}")
        try:
            yield self
        except BaseException:
            self.undo_to(mark)
            with anyio.CancelScope(shield=True):
                await self._execute(f"ROLLBACK TO SAVEPOINT {BLOCK}")
                await self._execute(f"RELEASE SAVEPOINT {BLOCK}")
            raise
        await self._execute(f"RELEASE SAVEPOINT {BLOCK}")

    @async_block
    async def run(self) -> AsyncIterator[PostgresTransaction]:
        """Run the block in a transaction of the database.

        Raises `TransactionTimeout` if the block takes longer than ``max_seconds``, and `UnknownOutcome` if its commit
        has no answer by then.
        """
        committer = self._committer
        try:
            async with committer.connections.hold(begin_to_write) as connection:
                self._session = ConnectionSession(connection, committer.schema)
                token = open_transaction.set(self)
                try:
                    await self._run(take_for_block)
                    with anyio.move_on_after(self._max_seconds) as scope:
                        yield self
                        await self._commit()
                    if scope.cancelled_caught:
                        raise self._late()
                finally:
                    self.end()
                    open_transaction.reset(token)
            committer.publish(self._session.channels)
            await self.run_commit_hooks()
        finally:
            await self.run_end_hooks()

    async def _commit(self) -> None:
        session = self._opened()
        if session.connection.info.transaction_status != TransactionStatus.INTRANS:
            raise StoreError(self.store.name, UNDONE)  # COMMIT would roll a failed transaction back, without an error
        try:
            await self._run(self._send_commit)
        except Exception as error:
            if is_lost(error.__cause__ or error):
                raise UnknownOutcome(self.store.name, session.ids) from error
            raise

    async def _send_commit(self, session: ConnectionSession) -> None:
        self._is_committing = True
        with last_step(LAST_WAIT):
            await session.run("COMMIT")

    def _late(self) -> Exception:
        """Return the error for a transaction whose time is over: after COMMIT was sent, nothing tells how it ended."""
        if self._is_committing:
            return UnknownOutcome(self.store.name, self._opened().ids)
        return TransactionTimeout(self.store.name, self._max_seconds)

    async def _execute(self, sql: str) -> None:
        await self._run(lambda session: session.run(sql))

    async def _run(self, work: Callable[[ConnectionSession], Awaitable[T]]) -> T:
        """Do work in the transaction, and return its result. Raises `ReadConflict` if others are in the way."""
        session = self._opened()

        async def do() -> T:
            return await work(session)

        with translate_errors(self.store.name):
            try:
                return await self._committer.connections.calls.run(do)
            except REPEATABLE as error:
                raise ReadConflict("an immediate transaction") from error

    def _opened(self) -> ConnectionSession:
        assert self._session is not None  # only reached inside of `run`
        return self._session


async def run_in_savepoint(session: ConnectionSession, work: Callable[[ConnectionSession], Awaitable[T]]) -> T:
    """Run work whose writes are undone if it fails, and after which the transaction goes on in any case."""
    await session.run(f"SAVEPOINT {CALL}")
    try:
        result = await work(session)
    except BaseException:
        await session.run(f"ROLLBACK TO SAVEPOINT {CALL}")
        await session.run(f"RELEASE SAVEPOINT {CALL}")
        raise
    await session.run(f"RELEASE SAVEPOINT {CALL}")
    return result
