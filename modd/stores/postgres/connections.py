"""The connections of a store: a pool of psycopg, which lives in a loop of asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar

import anyio
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolClosed

from modd.concurrency.blocks import async_block
from modd.concurrency.loop_calls import LoopCalls
from modd.stores.postgres.errors import translate_errors

T = TypeVar("T")

Connection: TypeAlias = AsyncConnection[Any]

MOST = 10
"""Most connections of a pool of modd's own."""


FREE = 2
"""Connections of a pool that no block holds, so that a call beside the transaction of a block gets one."""


class Connections:
    """Connections to the database for calls from the loop of the store.

    store: the name of the store. source: the address of the database, or a pool of the application.
    calls: runs coroutines in the loop of the pool.
    timeout: seconds to wait for a connection.
    is_pooled: True if a pooler stands between, which shares connections among transactions.
    """

    def __init__(
        self, store: str, source: str | AsyncConnectionPool[Any], calls: LoopCalls, timeout: float, *, is_pooled: bool
    ) -> None:
        self.store, self.calls, self._timeout = store, calls, timeout
        self._owned = isinstance(source, str)
        self._prepare = None if is_pooled else 5
        self.pool = self._create_pool(source) if isinstance(source, str) else source
        self._held = anyio.CapacityLimiter(max(1, self.pool.max_size - FREE))

    async def open(self, stack: AsyncExitStack) -> None:
        """Open the pool until the stack is left, if it is one of the store's own."""
        if self._owned:
            await self.calls.run(self.pool.open)
            stack.push_async_callback(self.calls.run, self.pool.close)

    async def use(self, work: Callable[[Connection], Awaitable[T]], timeout: float) -> T:
        """Do work on a connection, and return its result; in the loop of the pool.

        timeout: seconds to wait for a connection. Raises the errors of psycopg, and ``PoolTimeout``.
        """
        async with borrowed(self.pool, timeout) as connection:
            return await work(connection)

    @async_block
    async def hold(self) -> AsyncIterator[Connection]:
        """Hold a connection for the block, which is in the loop of the store.

        Some connections are left for calls beside such blocks. Raises `modd.ports.StoreError`.
        """
        async with self._held:
            with translate_errors(self.store):
                connection = await self.calls.run(lambda: lend(self.pool, self._timeout))
            try:
                yield connection
            finally:
                with anyio.CancelScope(shield=True):
                    await self.calls.run(lambda: give_back(self.pool, connection))

    async def connect(self) -> Connection:
        """Return a connection beside those of the pool; in the loop of the pool."""
        address: Any = await resolved(self.pool.conninfo)
        options: Any = await resolved(self.pool.kwargs)
        return await AsyncConnection.connect(address, **{**(options or {}), "autocommit": True})

    def _create_pool(self, address: str) -> AsyncConnectionPool[Any]:
        options = {"autocommit": True, "prepare_threshold": self._prepare}
        return AsyncConnectionPool(
            address, kwargs=options, min_size=1, max_size=MOST, timeout=self._timeout, open=False, name="modd"
        )


@async_block
async def borrowed(pool: AsyncConnectionPool[Any], timeout: float) -> AsyncIterator[Connection]:
    """Borrow a connection for the block, in the loop of the pool."""
    connection = await lend(pool, timeout)
    try:
        yield connection
    finally:
        await give_back(pool, connection)


async def lend(pool: AsyncConnectionPool[Any], timeout: float) -> Connection:
    """Return a connection on which nothing is open, and on which the store begins transactions itself."""
    connection: Connection = await pool.getconn(timeout)
    if not connection.autocommit:
        await connection.set_autocommit(True)
    return connection


async def give_back(pool: AsyncConnectionPool[Any], connection: Connection) -> None:
    """Return a connection to its pool, which rolls back what is open and closes one that is broken."""
    try:
        await pool.putconn(connection)
    except (PoolClosed, ValueError):  # the pool was closed or made anew meanwhile
        await connection.close()


async def resolved(option: Any) -> Any:
    """Return an option of a pool, which may be a function, async or not, that returns it."""
    value = option() if callable(option) else option
    return await value if isawaitable(value) else value
