"""News among stores of one schema: tasks that wait are told of commits of other processes."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

import anyio
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from modd.concurrency.loops import loop_name
from modd.stores import PostgresStore
from modd.stores.postgres.base import WaitingPart
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Session
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = pytest.mark.anyio

ADD = "INSERT INTO modd.inbox VALUES (%s, 0)"


class Bell(WaitingPart):
    """A part at which tasks wait until an id is in the inbox. looks: how often it has looked."""

    def __init__(self, store: PostgresStore, channel: str = "bell") -> None:
        super().__init__(store, channel)
        self.looks = 0

    async def ring(self, id: str) -> None:
        """Add the id, and tell those who wait."""
        await self._store.access("ring").write(ring, id.encode(), self.channel)

    async def seconds_left(self) -> float:
        query = Select("SELECT 1 FROM modd.inbox WHERE id = 'a'::bytea")
        found = await self._store.access("wait").read(query)
        self.looks += 1
        return 0 if found else 1e9


async def ring(session: Session, id: bytes, channel: str) -> None:
    await session.count(ADD, (id,))
    session.tell(channel)


async def looked(bell: Bell, times: int = 1) -> None:
    """Return when a part has looked that often."""
    await until(lambda: bell.looks >= times)


async def waiting_seconds(bell: Bell, ringing: Any) -> float:
    """Return the seconds from the call until the wait of a part has ended."""
    start = monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bell.wait, 60)
        await looked(bell)
        await ringing
        start = monotonic()
    return monotonic() - start


async def listening(server: PostgresServer, store: PostgresStore, but: int = 0) -> int:
    """Return the id of the process of the server that tells a store of news, when there is one but for this one."""
    sql = "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN ' || %s AND pid <> %s"
    found: list[Any] = []

    def is_there() -> bool:
        found[:] = connection.execute(sql, (store._news.name, but)).fetchall()
        return bool(found)

    with psycopg.connect(server.url, autocommit=True) as connection:
        await until(is_there)
    return int(found[0][0])


class Ear:
    """A part that notes that it was woken."""

    is_woken = False

    def wake(self) -> None:
        self.is_woken = True


async def hears(store: PostgresStore, other: PostgresStore) -> None:
    """Return when a store has heard from another one, so that it will not look because it begins to listen."""
    ear = Ear()
    store._news.join("ear", ear)

    def is_woken() -> bool:
        other._news.publish({"ear"})
        return ear.is_woken

    await until(is_woken)


async def test_a_wait_ends_when_another_store_has_news(postgres_server: PostgresServer) -> None:
    # PG-5
    schema = new_schema()
    async with new_store(postgres_server, schema, poll=60) as one, new_store(postgres_server, schema) as other:
        await listening(postgres_server, one)
        took = await waiting_seconds(Bell(one), Bell(other).ring("a"))
    assert took < 10, "without a word it would have looked after a minute"


async def test_a_wait_ends_by_a_commit_of_the_store_itself_without_any_listening(
    postgres_server: PostgresServer,
) -> None:
    # PG-5
    async with new_store(postgres_server, poll=60, listen=False) as store:
        bell = Bell(store)

        async def in_transaction() -> None:
            async with store.transaction(immediate=True):
                await bell.ring("a")

        assert await waiting_seconds(bell, in_transaction()) < 10


async def test_without_listening_the_parts_look_from_time_to_time(postgres_server: PostgresServer) -> None:
    # PG-5
    schema = new_schema()
    async with (
        new_store(postgres_server, schema, poll=0.05, listen=False) as one,
        new_store(postgres_server, schema, listen=False) as other,
    ):
        bell = Bell(one)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bell.wait, 60)
            await looked(bell, times=3)
            tasks.cancel_scope.cancel()
        assert await waiting_seconds(bell, Bell(other).ring("a")) < 10


async def test_news_of_other_channels_and_rollbacks_wake_nobody(postgres_server: PostgresServer) -> None:
    # PG-5
    schema = new_schema()
    async with new_store(postgres_server, schema, poll=60) as one, new_store(postgres_server, schema) as other:
        await hears(one, other)
        bell, quiet = Bell(one), Bell(one, "quiet")
        strange = Bell(other, "strange")  # a channel of which the first store knows nothing

        async def be_told() -> None:
            await bell.wait(60)
            tasks.cancel_scope.cancel()

        looks = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(be_told)
            tasks.start_soon(quiet.wait, 60)
            await looked(bell)
            await looked(quiet)
            looks = quiet.looks
            with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the end of the block may raise
                async with other.transaction():
                    await Bell(other, "quiet").ring("b")
                    raise ZeroDivisionError
            await strange.ring("c")
            await Bell(other).ring("a")
        assert quiet.looks == looks


async def test_a_lost_connection_that_listens_is_made_anew_and_looks_once(postgres_server: PostgresServer) -> None:
    # PG-5
    schema = new_schema()
    async with new_store(postgres_server, schema, poll=600) as store:
        bell = Bell(store)
        process, looks = await listening(postgres_server, store), 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bell.wait, 600)
            await looked(bell)
            looks = bell.looks
            postgres_server.execute(
                f"INSERT INTO {schema}.inbox VALUES ('a', 0)", f"SELECT pg_terminate_backend({process})"
            )
        assert bell.looks > looks
        await listening(postgres_server, store, but=process)


async def test_news_that_cannot_be_sent_are_found_by_looking(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    # PG-5
    schema = new_schema()
    caplog.set_level(logging.DEBUG, "modd.stores")
    async with new_store(postgres_server, schema, poll=0.1) as one, new_store(postgres_server, schema) as other:
        await listening(postgres_server, one)
        other._news.name = "x" * 9000  # the server takes no channel of this length
        took = await waiting_seconds(Bell(one), Bell(other).ring("a"))
        assert took < 10
        await until(lambda: "no process could be told of news" in caplog.text)


async def test_a_function_for_the_address_that_fails_ends_the_connecting_but_not_the_listening(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    # PG-5
    if loop_name() == "trio":
        return  # a store takes no pool there
    caplog.set_level(logging.DEBUG, "modd.stores")
    schema, failing = new_schema(), False

    async def address() -> str:
        if failing:
            raise RuntimeError("the token service answers 503")
        return postgres_server.url

    async with (
        AsyncConnectionPool(address, min_size=1) as pool,
        PostgresStore(pool, schema=schema, durable=False, poll=600) as one,
        new_store(postgres_server, schema) as other,
    ):
        process = await listening(postgres_server, one)
        failing = True
        postgres_server.execute(f"SELECT pg_terminate_backend({process})")
        await until(lambda: "the token service answers 503" in caplog.text)
        failing = False
        await listening(postgres_server, one, but=process)
        assert await waiting_seconds(Bell(one), Bell(other).ring("a")) < 60
