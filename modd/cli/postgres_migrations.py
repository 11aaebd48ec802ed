"""The tool ``migrate``: the tables of a store in a PostgreSQL database. It needs the extra ``postgres``."""

from __future__ import annotations

import anyio
import psycopg

from modd.cli.errors import UsageError
from modd.cli.migrate_arguments import MigrateArguments
from modd.cli.reports import Migration
from modd.errors import InvalidOption
from modd.stores.errors import NewerStore
from modd.stores.postgres.errors import translate_errors
from modd.stores.postgres.schema import STEPS, schema_version, statements
from modd.stores.postgres.session import ConnectionSession
from modd.stores.postgres.store import PostgresStore

TIMEOUT = 10.0
"""Seconds to try while the database does not answer."""


def migrate_tables(arguments: MigrateArguments) -> Migration:
    """Bring the tables up, or tell by which statements. Raises `UsageError`, and `modd.ports.StoreError`."""
    store = create_store(arguments.address, arguments.schema)
    return anyio.run(migrate_store, store, arguments.address, arguments.sql)


def create_store(address: str, schema: str) -> PostgresStore:
    """Return a store for a command, which is not open. Raises `UsageError`."""
    try:
        return PostgresStore(address, schema=schema, migrate=False, durable=False, listen=False, timeout=TIMEOUT)
    except InvalidOption as error:
        raise UsageError(str(error)) from None


async def migrate_store(store: PostgresStore, address: str, only_sql: bool) -> Migration:
    """Bring the tables of a store up, unless only the statements are wanted."""
    version = await read_version(store, address)
    missing = statements(store.schema, version)
    if missing and not only_sql:
        await store.migrate()
    return Migration(store.name, version, len(STEPS), missing, done=not only_sql)


async def read_version(store: PostgresStore, address: str) -> int:
    """Return the version of the tables; 0 if there are none. Raises `modd.ports.StoreError`."""
    with translate_errors(store.name):
        connection = await psycopg.AsyncConnection.connect(address, autocommit=True, connect_timeout=int(TIMEOUT))
        async with connection:
            version = await schema_version(ConnectionSession(connection, store.schema))
    if version > len(STEPS):
        raise NewerStore(store.name, version, len(STEPS), "the schema")
    return version
