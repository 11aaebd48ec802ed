"""The connections of a store: a pool of psycopg, which lives in a loop of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from inspect import isawaitable
from math import ceil
from time import monotonic
from typing import Any, TypeAlias, TypeVar

import anyio
import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from modd.concurrency.blocks import async_block
from modd.concurrency.loop_calls import LoopCalls
from modd.stores.errors import StoreBusy
from modd.stores.postgres.attempts import repeat_lost
from modd.stores.postgres.errors import is_lost, is_refused, translate_errors

T = TypeVar("T")

Connection: TypeAlias = AsyncConnection[Any]

MOST = 10
"""Most connections of a pool of modd's own."""


FREE = 2
"""Connections of a pool that no block holds, so that a call beside the transaction of a block gets one."""


SLICE = 1.0
"""Seconds after which a pool begins anew to connect: the pauses between its attempts double, up to minutes."""


CLOSING = 1.0
"""Seconds to wait for what a pool is about to do when it is closed."""


KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
"""Options of libpq that find within half a minute that the machine of the server is gone.

Linux sends no keepalive while data that was sent is not acknowledged, as on a connection in use: the last one, in
milliseconds, ends that. A machine that is there acknowledges also for a server that is frozen, which is not found.
"""


LIMIT_LOCKS = "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = 'lock_timeout' AND source = 'default'"


SHORTEST_LIMIT, LONGEST_LIMIT = 2000, 2**31 - 1
"""Milliseconds: by default the server looks for deadlocks, which modd repeats, after 1000; more it does not take."""


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
        self._owned, self._is_pooled = isinstance(source, str), is_pooled
        self.pool = self._create_pool(source) if isinstance(source, str) else source
        self._switched: set[Connection] = set()
        """Connections of the application's pool on which the store has turned autocommit on."""
        self._held = anyio.CapacityLimiter(max(1, self.pool.max_size - FREE))

    async def open(self, stack: AsyncExitStack, calls: LoopCalls) -> None:
        """Open the pool until the stack is left, if it is one of the store's own.

        calls: runs what opens and closes it, also when the calls of the store have ended.
        """
        self._pool_calls = calls
        if self._owned:
            with translate_errors(self.store):
                await calls.run(self._reach)
            stack.push_async_callback(self._close)  # before it is open: the opening may be cancelled
            await calls.run(self.pool.open)

    async def use(self, work: Callable[[Connection], Awaitable[T]], timeout: float) -> T:
        """Do work on a connection, and return its result; in the loop of the pool.

        timeout: seconds to wait for a connection. Raises the errors of psycopg, and ``PoolTimeout``.
        """
        connection = await self._lend(timeout)
        try:
            return await work(connection)
        finally:
            await self._give_back(connection)

    @async_block
    async def hold(self, begin: Callable[[Connection], Awaitable[None]]) -> AsyncIterator[Connection]:
        """Hold a connection for the block, which is in the loop of the store.

        begin: the first call on the connection, and again on another one if that is lost.

        Some connections are left for calls beside such blocks. Raises `modd.ports.StoreError`.
        """
        async with self._turn():
            lent: list[Connection] = []  # and no result: that of a call which is cancelled would be lost
            try:
                with translate_errors(self.store):
                    await self.calls.run(lambda: self._lend_to(lent, begin))
                yield lent[0]
            finally:
                with anyio.CancelScope(shield=True):
                    for connection in lent:
                        await self._pool_calls.run(partial(self._give_back, connection))

    async def connect(self) -> Connection:
        """Return a connection beside those of the pool; in the loop of the pool."""
        address: Any = await resolve_option(self.pool.conninfo)
        options: Any = await resolve_option(self.pool.kwargs)
        return await AsyncConnection.connect(address, **{**(options or {}), "autocommit": True})

    @async_block
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for the block until few enough others hold a connection. Raises `StoreBusy` after the timeout."""
        with anyio.move_on_after(self._timeout) as waiting:
            await self._held.acquire()
        if waiting.cancelled_caught:
            raise StoreBusy(
                self.store,
                f"waited {self._timeout:g} s",
                f"{self._held.total_tokens:g} other blocks hold all the connections that blocks may have",
                "make the blocks shorter, or give the store a pool with more connections",
            )
        try:
            yield
        finally:
            self._held.release()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._pool_calls.run(self._close_pool)

    async def _close_pool(self) -> None:
        """Close the pool, and end its tasks: it leaves those behind that are about to connect to a slow server."""
        workers = {*self.pool._workers}  # noqa: SLF001  # it forgets them as it closes, and nothing else has them
        await self.pool.close(CLOSING)
        while workers:
            for worker in workers:
                worker.cancel()  # what it does now: it may have more to do
            _, workers = await asyncio.wait(workers, timeout=CLOSING)

    async def _reach(self) -> None:
        """Connect once, because a pool keeps the reason for itself if it cannot connect."""
        end = monotonic() + self._timeout
        while True:
            try:
                connection = await self.connect()
                break
            except psycopg.Error as error:
                if is_refused(error) or not is_lost(error) or monotonic() >= end:
                    raise
            await asyncio.sleep(min(0.1, self._timeout))
        await connection.close()

    async def _lend_to(self, lent: list[Connection], begin: Callable[[Connection], Awaitable[None]]) -> None:
        """Append a connection that answers: those that a server had before it was started again do not."""

        async def lend(timeout: float) -> None:
            connection = await self._lend(timeout)
            try:
                await begin(connection)
                lent.append(connection)
            finally:
                if not lent:
                    await self._give_back(connection)

        await repeat_lost(lend, self._timeout)

    async def _lend(self, timeout: float) -> Connection:
        """Return a connection on which nothing is open, and on which the store begins transactions itself."""
        connection: Connection = await get_connection(self.pool, timeout)
        try:
            if not connection.autocommit:
                await connection.set_autocommit(True)
                self._switched.add(connection)
        except BaseException:  # pragma: no cover  # lost or cancelled at this very moment
            await self._give_back(connection)
            raise
        return connection

    async def _give_back(self, connection: Connection) -> None:
        """Return a connection to its pool as it was; the pool closes one that is broken."""
        if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            with suppress(psycopg.Error):
                await connection.rollback()
        if connection in self._switched:
            self._switched.discard(connection)
            with suppress(psycopg.Error):
                await connection.set_autocommit(False)
        try:
            await self.pool.putconn(connection)
        except (PoolClosed, ValueError):  # pragma: no cover  # the application closed its pool at this very moment
            await connection.close()

    def _create_pool(self, address: str) -> AsyncConnectionPool[Any]:
        defaults = {**KEEPALIVE, "connect_timeout": max(2, ceil(self._timeout))}
        own = conninfo_to_dict(address)
        options = {name: value for name, value in defaults.items() if name not in own}
        return AsyncConnectionPool(
            address,
            kwargs={**options, "autocommit": True, "prepare_threshold": None if self._is_pooled else 5},
            min_size=1,
            max_size=MOST,
            timeout=self._timeout,
            reconnect_timeout=SLICE,
            open=False,
            name="modd",
            configure=None if self._is_pooled else partial(limit_locks, seconds=self._timeout),
        )


async def limit_locks(connection: Connection, seconds: float) -> None:
    """Have a connection wait no longer than this for a lock, and 2 s at least, unless somebody has set a limit.

    A transaction that waits for one that waits for it, in the same task, is no deadlock to the server.
    """
    limit = min(max(ceil(seconds * 1000), SHORTEST_LIMIT), LONGEST_LIMIT)
    await connection.execute(LIMIT_LOCKS, [str(limit)])


async def ping(connection: Connection) -> None:
    """Have the server answer. Raises the errors of psycopg."""
    await connection.execute(b"")


async def get_connection(pool: AsyncConnectionPool[Any], timeout: float) -> Connection:
    """Return a connection of a pool, which tries to connect again and again."""
    end = monotonic() + timeout
    while True:
        try:
            return await pool.getconn(min(SLICE, end - monotonic()))  # type: ignore[no-any-return]  # of any kind
        except PoolTimeout:
            if monotonic() >= end:
                raise


async def resolve_option(option: Any) -> Any:
    """Return an option of a pool, which may be a function, async or not, that returns it."""
    value = option() if callable(option) else option
    return await value if isawaitable(value) else value
