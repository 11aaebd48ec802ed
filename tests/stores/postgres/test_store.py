"""A store in PostgreSQL as a whole: its clock, and what its parts tell."""

from __future__ import annotations

import logging
from math import inf
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from modd.concurrency.loops import loop_name
from modd.stores import PostgresStore
from modd.stores.postgres import store as store_module
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = pytest.mark.anyio


async def test_the_clock_is_asked_for_again(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # PG-6
    monkeypatch.setattr(store_module, "REFRESH", 0.01)
    async with new_store(postgres_server) as store:
        store._clock._offset = -inf
        await until(lambda: store.clock() > 0)


class FailingPool(AsyncConnectionPool[Any]):
    """A pool of the application that fails with an error of its own while it is told to."""

    is_failing = False

    async def getconn(self, timeout: float | None = None) -> Any:
        if self.is_failing:
            raise RuntimeError("the token service answers 503")
        return await super().getconn(timeout)


async def test_a_clock_that_cannot_be_asked_goes_on_and_is_asked_again(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # PG-6
    if loop_name() == "trio":
        return  # a store takes no pool there
    caplog.set_level(logging.DEBUG, "modd.stores")
    monkeypatch.setattr(store_module, "REFRESH", 0.01)
    async with (
        FailingPool(postgres_server.url, min_size=1, open=False) as pool,
        PostgresStore(pool, schema=new_schema(), durable=False, listen=False) as store,
    ):
        pool.is_failing = True
        await until(lambda: "the token service answers 503" in caplog.text)
        pool.is_failing = False
        store._clock._offset = -inf
        await until(lambda: store.clock() > 0)


async def test_the_inbox_tells_for_how_long_it_remembers(postgres_server: PostgresServer) -> None:
    # PG-1
    async with new_store(postgres_server, retention=7.0) as store:
        assert store.inbox.retention == 7.0


async def test_no_ids_cancel_nothing_in_a_deferred_transaction(postgres_server: PostgresServer) -> None:
    # PG-1
    async with new_store(postgres_server) as store, store.transaction():
        assert await store.queue("orders").cancel() == []


async def test_an_item_that_was_left_under_another_name_is_a_reason_to_look(postgres_server: PostgresServer) -> None:
    # PG-1
    async with new_store(postgres_server) as store:
        queue = store.queue("orders")
        await queue.put(b"1")
        [claim] = await queue.claim(1, 60.0)
        assert await queue.seconds_left() > 0
        await queue.leave(claim, "a", 60.0)
        assert await queue.seconds_left() == 0
