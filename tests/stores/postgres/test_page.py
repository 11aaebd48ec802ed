"""The examples of the page about sessions of the application, on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from modd.ports import AlreadyHandled, Stats
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema

PAGE = Path(__file__).parents[3] / "docs/how-to/postgres-sessions.md"

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # where SQLAlchemy runs


class Page:
    """The names that the code of the page has defined, with a database of the tests."""

    def __init__(self, server: PostgresServer) -> None:
        self._names: dict[str, Any] = {"__name__": PAGE.stem}
        database = new_schema()
        server.execute(f"CREATE DATABASE {database}")
        for example in Sybil(parsers=[PythonCodeBlockParser()], patterns=["*"]).parse(PAGE):
            code = str(example.parsed).replace("shop@db.example/shop", server.url_of(database).partition("//")[2])
            code = code.replace(
                '/{ADDRESS}")\n\n', '/{ADDRESS}", durable=False)\n\n'
            )  # the server of the tests need not wait
            exec(compile(code, str(PAGE), "exec", dont_inherit=True), self._names)

    def __getattr__(self, name: str) -> Any:
        return self._names[name]


@asynccontextmanager
async def opened(server: PostgresServer) -> AsyncIterator[Page]:
    """Open the store of the page, and create its tables."""
    page = Page(server)
    async with page.engine.begin() as connection:
        await connection.run_sync(page.Table.metadata.create_all)
    async with page.store:
        yield page
    await page.engine.dispose()


async def orders_of(page: Page) -> list[int]:
    """Return the orders that are committed."""
    async with page.sessions() as session:
        return [*await session.scalars(text("SELECT id FROM orders ORDER BY id"))]


async def test_an_order_and_its_event_are_one_commit(postgres_server: PostgresServer) -> None:
    async with opened(postgres_server) as page:
        await page.place_order(7, "rope")
        async with page.sessions.begin() as session:
            await page.put_both(session)
        bodies = [claim.body for claim in await page.store.outbox.claim(9, lease=30)]
        assert bodies == [b"order placed", b"order placed", b"mail sent"]
        assert await orders_of(page) == [7]


async def test_a_message_is_imported_once(postgres_server: PostgresServer) -> None:
    async with opened(postgres_server) as page:
        await page.import_order("message-1", 7, "rope")
        with pytest.raises(AlreadyHandled):
            await page.import_order("message-1", 8, "rope")
        assert await orders_of(page) == [7]


async def test_a_worker_acknowledges_in_the_commit_of_the_rows(postgres_server: PostgresServer) -> None:
    async with opened(postgres_server) as page:
        await page.work()
        assert await orders_of(page) == [7]
        assert len(await page.store.outbox.claim(9, lease=30)) == 1
        assert await page.queue.stats() == Stats(0, 0, 0, 0)
