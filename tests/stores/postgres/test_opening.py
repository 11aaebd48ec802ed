"""Which servers and addresses a store is opened with, and which are refused."""

from __future__ import annotations

import logging
from traceback import format_exception
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from modd import InvalidOption
from modd.concurrency.loops import loop_name
from modd.ports import StoreError
from modd.stores import DatabaseRefused, NotDurable, PostgresStore, StoreBusy, StoreClosed
from tests.postgres.server import PostgresServer, free_port
from tests.stores.postgres.proxy import proxy_to
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]

SECRET = "hunter2"


@pytest.mark.parametrize("source", [None, 7, "", b"postgresql://localhost/shop"])
def test_a_source_that_is_neither_address_nor_pool_is_refused(source: Any) -> None:
    # PG-50
    with pytest.raises(InvalidOption, match="give an address"):
        PostgresStore(source)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ann:{SECRET}/word@localhost/shop",
        f"postgresql://ann:word@{SECRET}@localhost/shop",
        f"postgresql://localhost?{SECRET}=1",
        f"host=localhost {SECRET}",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_not_shown(address: str) -> None:
    # PG-50
    with pytest.raises(InvalidOption, match="write @ as %40") as raised:
        PostgresStore(address)
    assert SECRET not in "".join(format_exception(raised.value))


def test_an_address_of_sqlalchemy_is_told_apart_and_not_shown() -> None:
    # PG-50
    with pytest.raises(InvalidOption, match=r"leave out \+ and the driver") as raised:
        PostgresStore(f"postgresql+asyncpg://ann:{SECRET}@localhost/shop")
    assert SECRET not in "".join(format_exception(raised.value))


@pytest.mark.parametrize("address", ["postgresql://localhost:,5433/shop", "host=a,b port=1,2", "dbname=shop"])
def test_other_forms_of_addresses_are_taken(address: str) -> None:
    # PG-50
    PostgresStore(address)


@pytest.mark.parametrize("schema", ["", None, "a\0b", "100%", "\N{SNOWMAN}" * 22])
def test_a_name_that_no_schema_can_have_is_refused(schema: Any) -> None:
    # PG-50
    with pytest.raises(InvalidOption, match="up to 63 bytes"):
        PostgresStore("postgresql://localhost/shop", schema=schema)


def test_a_name_that_the_database_keeps_for_itself_is_refused() -> None:
    # PG-50
    with pytest.raises(InvalidOption, match='does not begin with "pg_"'):
        PostgresStore("postgresql://localhost/shop", schema="pg_modd")


async def test_a_schema_may_have_any_name_that_the_database_takes(postgres_server: PostgresServer) -> None:
    # PG-50
    schema = f'My "shop"; .modd. {new_schema()}'
    async with new_store(postgres_server, schema) as store:
        await store.inbox.add("a")
        async with store.transaction(immediate=True) as tx:
            await tx.execute("SELECT 1")
    async with new_store(postgres_server, schema) as store:
        assert await store.inbox.has("a")


async def test_stores_of_two_schemas_share_nothing(postgres_server: PostgresServer) -> None:
    # PG-50
    async with new_store(postgres_server) as one, new_store(postgres_server) as other:
        await one.inbox.add("a")
        assert await one.inbox.has("a") and not await other.inbox.has("a")


async def test_a_pool_of_the_application_is_used_and_left_open_as_it_was(postgres_server: PostgresServer) -> None:
    # PG-51
    if loop_name() == "trio":
        with pytest.raises(InvalidOption, match="needs asyncio"):
            PostgresStore(AsyncConnectionPool(postgres_server.url, open=False))
        return
    async with AsyncConnectionPool(postgres_server.url, min_size=1, max_size=1, timeout=60) as pool:
        async with PostgresStore(pool, schema=new_schema(), durable=False, listen=False) as store:
            await store.inbox.add("a")
            assert await store.inbox.has("a")
            async with store.transaction() as tx:
                assert await tx.fetch("SELECT 1") == [(1,)]
        async with pool.connection() as connection:
            assert not connection.autocommit
            await connection.execute("SELECT 1")
        assert not pool.closed and store.name.startswith("postgresql://127.0.0.1/postgres")


async def test_a_pool_may_make_its_address_and_options_by_functions(postgres_server: PostgresServer) -> None:
    # PG-51
    if loop_name() == "trio":
        return

    async def address() -> str:
        return postgres_server.url

    def options() -> dict[str, Any]:
        return {"autocommit": True}

    async with AsyncConnectionPool(address, kwargs=options, min_size=1) as pool:  # noqa: SIM117  # in this order
        async with PostgresStore(pool, schema=new_schema(), durable=False) as store:
            assert store.name.startswith("postgresql://localhost/of a pool")
            await store.inbox.add("a")


async def test_a_pool_that_was_closed_is_told_at_once(postgres_server: PostgresServer) -> None:
    # PG-51
    if loop_name() == "trio":
        return
    async with AsyncConnectionPool(postgres_server.url, min_size=1) as pool:  # noqa: SIM117  # in this order
        async with PostgresStore(pool, schema=new_schema(), durable=False, listen=False) as store:
            async with store.transaction() as tx:
                await tx.fetch("SELECT 1")
                await pool.close()
            with pytest.raises(StoreBusy, match="PoolClosed"):
                await store.inbox.has("a")


async def test_a_server_that_is_too_old_is_refused_and_left_as_it_is(postgres_server: PostgresServer) -> None:
    # PG-52
    schema = new_schema()
    async with proxy_to(postgres_server) as proxy:
        version = str(await version_of(postgres_server)).encode()
        proxy.to_client = lambda data: data.replace(version, b"120022")
        with pytest.raises(StoreError, match="the server is PostgreSQL 12, and a store needs 13 or later"):
            async with PostgresStore(proxy.url, schema=schema, durable=False):
                pass
        proxy.to_client = lambda data: data
    async with new_store(postgres_server) as store, store.transaction() as tx:
        assert await tx.fetch("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)) == []


async def version_of(server: PostgresServer) -> int:
    async with new_store(server) as store, store.transaction() as tx:
        [[version]] = await tx.fetch("SELECT current_setting('server_version_num')::int")
        return int(version)


async def test_a_server_that_does_not_wait_for_its_disk_is_refused(postgres_server: PostgresServer) -> None:
    # PG-17
    with pytest.raises(NotDurable, match="fsync is off") as raised:
        async with new_store(postgres_server, durable=True):
            pass
    assert raised.value.level == "fsync=off"
    async with new_store(postgres_server, durable=False):
        pass


async def test_a_session_that_does_not_wait_for_the_disk_is_refused(postgres_server: PostgresServer) -> None:
    # PG-17
    address = f"{postgres_server.url}?options=-c%20synchronous_commit%3Doff"
    with pytest.raises(NotDurable, match="synchronous_commit is off"):
        async with PostgresStore(address, schema=new_schema()):
            pass
    async with PostgresStore(address, schema=new_schema(), durable=False):
        pass


async def test_a_server_that_waits_for_its_disk_is_taken(own_postgres_server: PostgresServer) -> None:
    # PG-17
    async with PostgresStore(own_postgres_server.url) as store:
        await store.inbox.add("a")
        assert abs(store.clock() - await clock_of(store)) < 60


async def clock_of(store: PostgresStore) -> float:
    async with store.transaction() as tx:
        [[now]] = await tx.fetch("SELECT extract(epoch FROM clock_timestamp())::double precision")
        return float(now)


@pytest.fixture
def locked_url(own_postgres_server: PostgresServer) -> str:
    """The address of a user with a wrong password."""
    rules = "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
    (own_postgres_server.data / "pg_hba.conf").write_text(rules)
    own_postgres_server.execute("CREATE ROLE locked LOGIN PASSWORD 'other'", "SELECT pg_reload_conf()")
    return own_postgres_server.url.replace("postgres@", f"locked:{SECRET}@")


async def test_a_wrong_password_is_told_at_once_and_printed_nowhere(
    locked_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # PG-14, PG-53
    caplog.set_level(logging.DEBUG)
    store = PostgresStore(locked_url, timeout=600)
    with pytest.raises(DatabaseRefused, match="password authentication failed") as raised:
        async with store:
            pass
    told = [*format_exception(raised.value), repr(store), repr(store.inbox), caplog.text, repr(raised.value)]
    assert [each for each in told if SECRET in each] == []


async def test_a_database_that_is_missing_is_told_at_once(postgres_server: PostgresServer) -> None:
    # PG-53
    with pytest.raises(DatabaseRefused, match='database "none" does not exist'):
        async with PostgresStore(postgres_server.url_of("none"), timeout=600):
            pass


async def test_a_user_without_rights_is_told_of_them(postgres_server: PostgresServer) -> None:
    # PG-53
    postgres_server.execute("CREATE ROLE guest LOGIN") if not has_role(postgres_server) else None
    address = postgres_server.url.replace("postgres@", "guest@")
    with pytest.raises(DatabaseRefused, match="a store needs all rights in its schema"):
        async with PostgresStore(address, schema=new_schema(), durable=False):
            pass


def has_role(server: PostgresServer) -> bool:
    try:
        server.execute("SET ROLE guest")
    except Exception:
        return False
    return True


async def test_a_server_that_is_away_is_waited_for_at_the_opening() -> None:
    # PG-53
    store = PostgresStore(f"postgresql://127.0.0.1:{free_port()}/shop", timeout=0.3)
    with pytest.raises(StoreBusy, match="the database does not answer"):
        async with store:
            pass
    with pytest.raises(StoreClosed):
        await store.inbox.has("a")
