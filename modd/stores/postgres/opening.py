"""The opening of a store: checks of the server, and its tables."""

from __future__ import annotations

from typing import Any

from psycopg_pool import AsyncConnectionPool

from modd.concurrency.loops import loop_name
from modd.errors import InvalidOption
from modd.ports.errors import StoreError
from modd.stores.errors import NotDurable
from modd.stores.postgres.session import ConnectionSession

OLDEST = 130_000
"""The oldest version of the server, as PostgreSQL numbers it."""


SETTINGS = (
    "SELECT current_setting('server_version_num')::int, current_setting('synchronous_commit'), current_setting('fsync')"
)


def checked_source(source: Any) -> str | AsyncConnectionPool[Any]:
    """Return the address of a database, or a pool of connections to it. Raises `InvalidOption`."""
    if isinstance(source, str) and source:
        return source
    if isinstance(source, AsyncConnectionPool):
        if loop_name() == "trio":
            raise InvalidOption("dsn_or_pool", source, "a pool of psycopg needs asyncio; give the address on trio")
        return source
    cure = 'give an address, such as "postgresql://localhost/shop", or an AsyncConnectionPool of psycopg_pool'
    raise InvalidOption("dsn_or_pool", type(source), cure)  # its type alone: it may have a password


def checked_schema_name(name: Any) -> str:
    """Return the name of a schema. Raises `InvalidOption`."""
    if not isinstance(name, str) or not name or len(name.encode(errors="replace")) > 63 or "\0" in name:
        raise InvalidOption("schema", name, 'give the name of a schema, at most 63 bytes long, such as "modd"')
    return name


async def check_server(session: ConnectionSession, store: str, *, durable: bool) -> None:
    """Raise `StoreError` for a server that is too old, and `NotDurable` for one that does not wait for its disk."""
    [[version, synchronous, fsync]] = await session.rows(SETTINGS)
    if version < OLDEST:
        raise StoreError(
            store,
            f"the server is PostgreSQL {version // 10_000}, and a store needs 13 or later; nothing was created on it",
        )
    if not durable:
        return
    for setting, value in (("synchronous_commit", synchronous), ("fsync", fsync)):
        if value == "off":
            raise NotDurable(
                store,
                f"{setting}={value}",
                f"{setting} is off, so that a crash can undo what was acknowledged; turn it on for this user and "
                "database, or open the store with durable=False if that may happen",
            )
