"""Attempts at work on connections that are lost, or that lead to a server which only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from modd.stores.postgres.errors import InRecovery, is_lost

T = TypeVar("T")


BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"


PAUSE, RECOVERY_PAUSE = 0.005, 0.25
"""Seconds between two attempts: a server in recovery lets a new connection in at once, time and again."""


async def repeat_lost(attempt: Callable[[float], Awaitable[T]], timeout: float) -> T:
    """Return the result of an attempt; if its connection is lost, of another one, until the timeout is over.

    attempt: a function of the seconds that are left.
    """
    end, refusal = monotonic() + timeout, ""  # the text alone: the error has this frame, and they would form a cycle
    while True:
        try:
            return await attempt(max(0.0, end - monotonic()))
        except psycopg.Error as error:
            if isinstance(error, PoolTimeout) and refusal:
                raise InRecovery(refusal) from error
            if not is_lost(error) or monotonic() >= end:
                raise
            refusal = str(error) if isinstance(error, InRecovery) else ""
        await asyncio.sleep(min(RECOVERY_PAUSE if refusal else PAUSE, end - monotonic()))


async def begin_to_write(connection: AsyncConnection[Any]) -> None:
    """Begin a transaction that writes. Raises `InRecovery`; not in a pipeline, which waits for no result."""
    try:
        await connection.execute(BEGIN)
    except psycopg.Error as error:
        await leave_standby(connection, error)
        raise


async def leave_standby(connection: AsyncConnection[Any], error: BaseException) -> None:
    """Raise `InRecovery` for the error of a `BEGIN` that a server in recovery refuses, and close the connection.

    It is closed so that the pool does not lend it again, also when the address leads to another server by then.
    """
    is_begun = connection.info.transaction_status != TransactionStatus.IDLE
    if isinstance(error, errors.FeatureNotSupported) and not is_begun:
        await connection.close()
        raise InRecovery(f"the server is read-only, a standby that is not promoted: {error}") from error
