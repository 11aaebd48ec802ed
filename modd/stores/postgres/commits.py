"""Commits: the writes of a call or of a transaction, in one transaction of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, nullcontext
from random import random
from typing import Any, TypeAlias, TypeVar

from psycopg.pq import TransactionStatus

from modd.concurrency.blocks import async_block
from modd.concurrency.loop_calls import last_step
from modd.ports.errors import ReadConflict
from modd.stores.errors import UnknownOutcome
from modd.stores.postgres.advisory import take_for_commit
from modd.stores.postgres.attempts import begin_to_write, leave_standby, repeat_lost
from modd.stores.postgres.connections import Connection, Connections
from modd.stores.postgres.errors import REPEATABLE, is_lost, translate_errors
from modd.stores.postgres.select import ReadStatement
from modd.stores.postgres.session import ConnectionSession, Operation, Schema, is_in_order, is_of_user, pipeline_of

T = TypeVar("T")


Reads: TypeAlias = Sequence[tuple[ReadStatement, bytes]]
"""Statements that were read, each with the digest of its rows."""


Writes: TypeAlias = Sequence[tuple[Operation, tuple[Any, ...]]]
"""Operations, each with the arguments of a call."""


ATTEMPTS = 20
"""Most attempts at a transaction that others get in the way of."""


SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two attempts."""


LAST_WAIT = 1.0
"""Seconds that a cancelled caller waits for a commit that is under way: as a rule it ends by then."""


class Committer:
    """Runs transactions on the connections of a store.

    store: its name. publish: called in the store's loop with the channels of each commit, which may be none.
    timeout: seconds for which it tries while the database is away.
    """

    def __init__(
        self,
        store: str,
        schema: Schema,
        connections: Connections,
        publish: Callable[[set[str]], object],
        timeout: float,
    ) -> None:
        self.store, self.schema, self.connections = store, schema, connections
        self.publish, self._timeout = publish, timeout

    async def commit(self, reads: Reads, writes: Writes) -> list[Any]:
        """Do the writes, all or none, if no read has changed; return their results.

        Raises `ReadConflict`, `UnknownOutcome`, `StoreError`, and what an operation raises.
        """

        async def do(session: ConnectionSession) -> list[Any]:
            await prepare(session, reads, writes)
            return [await operation(session, *arguments) for operation, arguments in writes]

        return await self.run(do, pipelined=not reads and not any(is_of_user(operation) for operation, _ in writes))

    async def run(
        self, work: Callable[[ConnectionSession], Awaitable[T]], *, pipelined: bool = False, waited: float = 0.0
    ) -> T:
        """Run work in a transaction that is committed after it; again if the database could not go through with it.

        pipelined: see `transaction`. waited: seconds of the timeout that are over.
        """
        with translate_errors(self.store):
            result, channels = await self.connections.calls.run(lambda: self._repeat(work, pipelined, waited))
        self.publish(channels)
        return result

    async def read(self, query: ReadStatement) -> list[Any]:
        """Return the rows of a statement."""

        async def read(connection: Connection) -> list[Any]:
            return await query.rows(ConnectionSession(connection, self.schema))

        with translate_errors(self.store):
            return await self.connections.calls.run(lambda: self._repeat_lost(read))

    async def check(self, reads: Reads) -> None:
        """Raise `ReadConflict` if a read has changed, by what is committed."""

        async def digests(connection: Connection) -> list[bytes]:
            return [await query.digest(ConnectionSession(connection, self.schema)) for query, _ in reads]

        with translate_errors(self.store):
            found = await self.connections.calls.run(lambda: self._repeat_lost(digests))
        for (query, digest), now in zip(reads, found, strict=True):
            if digest != now:
                raise ReadConflict(query.title)

    async def _repeat(
        self, work: Callable[[ConnectionSession], Awaitable[T]], pipelined: bool, waited: float
    ) -> tuple[T, set[str]]:
        async def attempt(connection: Connection) -> tuple[T, set[str]]:
            async with transaction(connection, self.schema, self.store, pipelined=pipelined) as session:
                return await work(session), session.channels

        most = SHORTEST_PAUSE
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._repeat_lost(attempt, waited)
            except REPEATABLE:
                await asyncio.sleep(most * random())
            most = min(2 * most, LONGEST_PAUSE)
        return await self._repeat_lost(attempt, waited)

    async def _repeat_lost(self, work: Callable[[Connection], Awaitable[T]], waited: float = 0.0) -> T:
        """Do work on a connection; on another one if that is lost, until the timeout is over."""
        return await repeat_lost(lambda timeout: self.connections.use(work, timeout), self._timeout - waited)


@async_block
async def transaction(
    connection: Connection, schema: Schema, store: str, *, pipelined: bool
) -> AsyncIterator[ConnectionSession]:
    """Run the block in a transaction of the database, in the loop of the connection.

    pipelined: True to wait only for results that the block reads, and for the commit; not for statements of users,
        which may be several in one text. Raises `UnknownOutcome` if the connection is lost while it commits.
    """
    session, is_committing = ConnectionSession(connection, schema), False
    try:
        with ExitStack() as commit:
            async with pipeline_of(connection) if pipelined else nullcontext() as session.pipeline:
                await begin_to_write(connection)
                yield session
                is_committing = True
                commit.enter_context(last_step(LAST_WAIT))
                await connection.execute("COMMIT")
    except BaseException as error:
        if pipelined:
            await leave_standby(connection, error)
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            await connection.execute("ROLLBACK")
        if is_committing and is_lost(error):
            raise UnknownOutcome(store, session.ids) from error
        raise


async def prepare(session: ConnectionSession, reads: Reads, writes: Writes) -> None:
    """Take the locks of a transaction, and look if its reads are still so. Raises `ReadConflict`."""
    await take_for_commit(session, alone=bool(reads), in_order=any(is_in_order(operation) for operation, _ in writes))
    for query, digest in reads:
        if await query.digest(session) != digest:
            raise ReadConflict(query.title)
