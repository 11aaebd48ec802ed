"""The opening of a store: checks of the server, and its tables."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from modd.concurrency.loops import loop_name
from modd.errors import InvalidOption
from modd.ports.errors import StoreError
from modd.stores.errors import NotDurable
from modd.stores.postgres.session import ConnectionSession

OLDEST = 130_000
"""The oldest version of the server, as PostgreSQL numbers it."""


SQLALCHEMY = re.compile(r"postgres(ql)?\+\w+://")
"""The beginning of an address that names the driver."""


SETTINGS = (
    "SELECT current_setting('server_version_num')::int, current_setting('synchronous_commit'), current_setting('fsync')"
)


def checked_database(source: Any) -> str | AsyncConnectionPool[Any]:
    """Return the address of a database, or a pool of connections to it. Raises `InvalidOption`."""
    if isinstance(source, str) and source:
        return checked_address(source)
    if isinstance(source, AsyncConnectionPool):
        if loop_name() == "trio":
            raise InvalidOption("dsn_or_pool", source, "a pool of psycopg needs asyncio; give the address on trio")
        return source
    cure = 'give an address, such as "postgresql://localhost/shop", or an AsyncConnectionPool of psycopg_pool'
    raise InvalidOption("dsn_or_pool", type(source), cure)  # its type alone: it may have a password


def checked_address(address: str) -> str:
    """Return the address of a database. Raises `InvalidOption`, which shows nothing of it: it may have a password."""
    if SQLALCHEMY.match(address):
        cure = 'this is an address of SQLAlchemy; leave out + and the driver: "postgresql://localhost/shop"'
        raise InvalidOption("dsn_or_pool", type(address), cure)
    try:
        parts = conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        parts = {"host": "@"}
    host, ports = str(parts.get("host", "")), str(parts.get("port", ""))
    if "@" in host or not all(port.isdecimal() or not port for port in ports.split(",")):
        cure = (
            'give an address such as "postgresql://ann@localhost:5432/shop"; in user and password, write @ as %40, '
            ": as %3A, / as %2F, # as %23, ? as %3F, % as %25"
        )
        raise InvalidOption("dsn_or_pool", type(address), cure) from None
    return address


def describe_store(source: str | AsyncConnectionPool[Any], schema: str) -> str:
    """Return a name for a store that has no password: host, database and schema."""
    address = source if isinstance(source, str) else source.conninfo
    parts = conninfo_to_dict(address) if isinstance(address, str) else {"dbname": "of a pool"}
    host, database = parts.get("host") or "localhost", parts.get("dbname") or ""
    return f"postgresql://{host}/{database} ({schema})"


def checked_schema_name(name: Any) -> str:
    """Return the name of a schema. Raises `InvalidOption`."""
    is_name = isinstance(name, str) and 0 < len(name.encode(errors="replace")) <= 63
    if not is_name or "\0" in name or "%" in name:  # drivers take % for the beginning of a placeholder
        raise InvalidOption("schema", name, 'give a name of up to 63 bytes, without % and NUL, such as "modd"')
    if name.startswith("pg_"):
        raise InvalidOption("schema", name, 'give a name that does not begin with "pg_", such as "modd"')
    return str(name)


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
