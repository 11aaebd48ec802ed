"""Stores on the server of the tests, each in a schema of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from os import getpid

import anyio

from modd.stores import PostgresStore
from tests.postgres.server import PostgresServer

numbers = count(1)


def new_schema() -> str:
    """Return the name of a schema that no test has used."""
    return f"test_{getpid()}_{next(numbers)}"


def new_store(server: PostgresServer, schema: str | None = None, **options: object) -> PostgresStore:
    """Return a store, by default in a new schema, on a server that need not wait for its disk."""
    return PostgresStore(server.url, schema=schema or new_schema(), **{"durable": False, **options})  # type: ignore[arg-type]  # options of the class


@asynccontextmanager
async def emptied_store(server: PostgresServer, schema: str) -> AsyncIterator[PostgresStore]:
    """Open a store without events and documents; faster than one in a new schema."""
    async with new_store(server, schema) as store:
        async with store.transaction(immediate=True) as tx:
            for table in ("events", "event_tags", "snapshots", "documents"):
                await tx.execute(f"DELETE FROM {schema}.{table}")
        yield store


async def until(is_so: Callable[[], object]) -> None:
    """Return when something on the server is so; it tells nobody, so that it is asked again and again."""
    with anyio.fail_after(60):
        while not is_so():  # noqa: ASYNC110  # the server tells nobody
            await anyio.sleep(0.01)
