"""A server that only reads, as a standby does until it is promoted, and one that ends transactions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from modd.ports import StoreError
from modd.stores import DatabaseFailed, PostgresStore, StoreBusy, UnknownOutcome
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_store, until

pytestmark = pytest.mark.anyio

REFUSED = "cannot set transaction read-write mode during recovery"


def set_timeout(store: PostgresStore, seconds: float) -> None:
    """Set for how long calls try; to little only when the server is there, which takes a slow machine its time."""
    committer = store._opened()
    committer._timeout = committer.connections._timeout = seconds


async def add(store: PostgresStore) -> None:
    await store.inbox.add("added")


async def put(store: PostgresStore) -> None:
    await store.queue("mails").put(b"mail")


async def add_immediately(store: PostgresStore) -> None:
    async with store.transaction(immediate=True):
        await store.inbox.add("immediate")


async def add_deferred(store: PostgresStore) -> None:
    async with store.transaction():
        assert not await store.inbox.has("deferred")
        await store.inbox.add("deferred")


WRITES: tuple[Callable[[PostgresStore], Coroutine[Any, Any, None]], ...] = (add, put, add_immediately, add_deferred)


async def failure_of(store: PostgresStore, write: Callable[[PostgresStore], Coroutine[Any, Any, None]]) -> StoreError:
    """Return the error of a write on a standby."""

    async def write_within(seconds: float) -> None:
        set_timeout(store, seconds)
        await write(store)

    try:
        return await failure_in(write_within, 0.6)
    finally:
        set_timeout(store, 60)


async def failure_in(work: Callable[[float], Coroutine[Any, Any, None]], seconds: float) -> StoreError:
    """Return the error of work that has these seconds, or more if its machine stood still and so is busy."""
    while True:
        try:
            with pytest.raises(DatabaseFailed) as raised:
                await work(seconds)
        except StoreBusy:
            seconds *= 4
        else:
            return raised.value


async def test_writes_on_a_standby_fail_after_the_timeout_and_reads_work(own_postgres_server: PostgresServer) -> None:
    # PG-63
    async with PostgresStore(own_postgres_server.url, timeout=60) as store:
        own_postgres_server.restart_as_standby()
        assert not await store.inbox.has("a")
        for write in WRITES:
            failed = await failure_of(store, write)
            assert "read-only" in str(failed) and REFUSED in str(failed)
        assert own_postgres_server.log.count(REFUSED) > len(WRITES), "they were tried again"


async def test_a_store_cannot_be_opened_for_the_first_time_on_a_standby(own_postgres_server: PostgresServer) -> None:
    # PG-63
    own_postgres_server.restart_as_standby()

    async def open_store(seconds: float) -> None:
        async with PostgresStore(own_postgres_server.url, timeout=seconds):
            pass

    assert REFUSED in str(await failure_in(open_store, 2.0))


async def test_a_connection_to_a_standby_is_not_used_again(own_postgres_server: PostgresServer) -> None:
    # PG-63
    async with PostgresStore(own_postgres_server.url, timeout=60, listen=False) as store:
        own_postgres_server.restart_as_standby()
        for write in (add, add_immediately):
            await store.inbox.has("a")
            processes = {*own_postgres_server.children()}
            await failure_of(store, write)
            await until(lambda processes=processes: processes - {*own_postgres_server.children()})  # type: ignore[misc]  # the loop's own


async def test_writes_go_on_when_a_standby_is_promoted(own_postgres_server: PostgresServer) -> None:
    # PG-63
    async with PostgresStore(own_postgres_server.url, timeout=60) as store:
        own_postgres_server.restart_as_standby()
        async with anyio.create_task_group() as tasks:
            for write in WRITES:
                tasks.start_soon(write, store)
            await until(lambda: own_postgres_server.log.count(REFUSED) >= len(WRITES))
            await anyio.to_thread.run_sync(own_postgres_server.promote)
        for id in ("added", "immediate", "deferred"):
            assert await store.inbox.has(id)
        assert (await store.queue("mails").stats()).ready == 1


@pytest.mark.parametrize("immediate", [True, False])
@pytest.mark.parametrize("code", ["25P03", "25P04"])
async def test_a_transaction_that_the_server_ends_by_a_limit_of_its_own_is_told_so(
    code: str, immediate: bool, postgres_server: PostgresServer
) -> None:
    # PG-64
    async with new_store(postgres_server, timeout=60) as store:
        with pytest.raises(StoreBusy, match="the server has ended the transaction") as raised:
            async with store.transaction(immediate=immediate) as tx:
                # raised by a statement, as a server before 17 has one of the limits, and a limit needs time
                await tx.execute(f"DO $$ BEGIN RAISE 'too long' USING ERRCODE = '{code}'; END $$")
        assert not isinstance(raised.value, UnknownOutcome)
        await store.inbox.add("a")


async def test_another_error_of_a_feature_that_is_missing_stays_as_it_is(postgres_server: PostgresServer) -> None:
    # PG-63
    async with new_store(postgres_server, timeout=60) as store:
        for immediate in (True, False):
            with pytest.raises(Exception, match="my own") as raised:
                async with store.transaction(immediate=immediate) as tx:
                    await tx.execute("DO $$ BEGIN RAISE 'my own' USING ERRCODE = '0A000'; END $$")
            assert type(raised.value).__name__ == "FeatureNotSupported"
