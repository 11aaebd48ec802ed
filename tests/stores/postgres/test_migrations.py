"""The tables of a store in a database: who makes them, and which are refused."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import psycopg
import pytest
from anyio.abc import Process

from modd.stores import NewerStore, OlderStore, PostgresStore
from modd.stores.postgres.schema import STEPS, migrate, schema_version, statements
from modd.stores.postgres.session import ConnectionSession, Schema
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = pytest.mark.anyio

OPEN = """
import sys
import anyio
from modd.stores import PostgresStore

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with PostgresStore(sys.argv[1], schema=sys.argv[2], durable=False, timeout=120) as store:
        await store.inbox.add(sys.argv[3])

anyio.run(main)
"""
"""A process that opens a store when it is told to."""


def rows(server: PostgresServer, sql: str, *parameters: Any) -> list[Any]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        return connection.execute(sql.encode(), parameters).fetchall()


def tables(server: PostgresServer, schema: str) -> set[str]:
    return {name for [name] in rows(server, "SELECT tablename FROM pg_tables WHERE schemaname = %s", schema)}


async def start(server: PostgresServer, schema: str, id: str) -> Process:
    process = await anyio.open_process([sys.executable, "-c", OPEN, server.url, schema, id], stderr=None)
    assert process.stdout is not None
    assert (await process.stdout.receive()).strip() == b"ready"
    return process


async def test_of_two_processes_that_are_started_together_one_makes_the_tables(postgres_server: PostgresServer) -> None:
    # PG-12
    schema = new_schema()
    processes = [await start(postgres_server, schema, id) for id in ("a", "b")]
    for process in processes:
        assert process.stdin is not None
        await process.stdin.send(b"go\n")
    assert [await process.wait() for process in processes] == [0, 0]
    for process in processes:
        await process.aclose()
    async with new_store(postgres_server, schema, migrate=False) as store:
        assert await store.inbox.has("a") and await store.inbox.has("b")
    assert rows(postgres_server, f"SELECT version FROM {schema}.store") == [(len(STEPS),)]


async def test_tables_that_are_missing_are_not_made_by_who_may_not(postgres_server: PostgresServer) -> None:
    # PG-12
    schema = new_schema()
    with pytest.raises(OlderStore, match="python -m modd migrate ADDRESS") as raised:
        async with new_store(postgres_server, schema, migrate=False):
            pass
    assert (raised.value.version, raised.value.known) == (0, len(STEPS)) and tables(postgres_server, schema) == set()
    await new_store(postgres_server, schema).migrate()
    await new_store(postgres_server, schema).migrate()
    async with new_store(postgres_server, schema, migrate=False) as store:
        await store.inbox.add("a")


async def test_tables_of_a_newer_modd_are_refused_and_left_as_they_are(postgres_server: PostgresServer) -> None:
    # PG-12
    schema = new_schema()
    await new_store(postgres_server, schema).migrate()
    postgres_server.execute(f"UPDATE {schema}.store SET version = 1000")
    for migrates in (True, False):
        with pytest.raises(NewerStore, match="the schema has schema version 1000") as raised:
            async with new_store(postgres_server, schema, migrate=migrates):
                pass
        assert (raised.value.version, raised.value.known) == (1000, len(STEPS))
    with pytest.raises(NewerStore):
        await new_store(postgres_server, schema).migrate()


async def test_an_older_version_is_brought_up_and_a_step_that_fails_leaves_it(postgres_server: PostgresServer) -> None:
    # PG-12
    schema = Schema(new_schema())
    steps = [*STEPS, "CREATE TABLE modd.one (n integer);\nCREATE TABLE modd.two (n integer);\n"]
    await new_store(postgres_server, schema.name).migrate()

    async def bring_up(steps: list[str]) -> int:
        connection = await psycopg.AsyncConnection.connect(postgres_server.url)
        async with connection:
            session = ConnectionSession(connection, schema)
            await migrate(session, "shop", steps)
            return await schema_version(session)

    def run(steps: list[str]) -> int:
        return anyio.run(bring_up, steps)  # in asyncio, on which psycopg runs

    with pytest.raises(psycopg.errors.UndefinedTable):
        await anyio.to_thread.run_sync(run, [*steps, "CREATE TABLE modd.three (n integer);\nDROP TABLE modd.none;\n"])
    assert not {"one", "two", "three"} & tables(postgres_server, schema.name)
    assert await anyio.to_thread.run_sync(run, steps) == len(steps)
    assert {"one", "two"} <= tables(postgres_server, schema.name)
    with pytest.raises(NewerStore):
        async with new_store(postgres_server, schema.name):
            pass


def test_the_statements_of_a_migration_are_those_that_are_missing() -> None:
    # PG-12
    schema = Schema('my "shop"')
    first, *others = statements(schema, 0)
    assert first == 'CREATE SCHEMA IF NOT EXISTS "my ""shop"""'
    assert others[-1] == f'UPDATE "my ""shop""".store SET version = {len(STEPS)}' and "modd." not in "".join(others)
    assert statements(schema, len(STEPS)) == []


async def test_a_store_is_opened_by_a_user_who_may_use_the_tables_alone(postgres_server: PostgresServer) -> None:
    # PG-12
    schema = new_schema()
    user = f"user_{schema}"
    await new_store(postgres_server, schema).migrate()
    postgres_server.execute(
        f"CREATE ROLE {user} LOGIN",
        f"GRANT USAGE ON SCHEMA {schema} TO {user}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}",
    )
    address = postgres_server.url.replace("postgres@", f"{user}@")
    for migrates in (True, False):  # with migrate=True, too, as there is nothing to change
        async with PostgresStore(address, schema=schema, durable=False, migrate=migrates) as store:
            await store.inbox.add(f"migrate={migrates}")
