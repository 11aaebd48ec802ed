"""The queue in PostgreSQL keeps the promises of its port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from modd.ports import Queue
from modd.testing.conformance import QueueConformance
from tests.postgres.server import PostgresServer
from tests.stores.postgres.database_clock import DatabaseClock

pytestmark = pytest.mark.anyio


class TestPostgresQueue(QueueConformance):
    """The suite of queues, by a clock of the database that moves when it is told to."""

    # PG-1, PG-6
    @pytest.fixture(autouse=True)
    def _own(self, postgres_server: PostgresServer) -> Iterator[None]:
        self.clock = DatabaseClock(postgres_server)
        yield
        self.clock.close()

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Queue]:
        async with self.clock.new_store() as store:
            yield store.queue("orders")

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the database."""
        self.clock.move(seconds)
