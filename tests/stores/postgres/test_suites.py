"""The parts of a store in PostgreSQL keep the promises of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from modd.ports import Documents, EventStore, Inbox, SupportsTransactions
from modd.testing.conformance import (
    DocumentsConformance,
    EventStoreConformance,
    InboxConformance,
    TransactionConformance,
)
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_store

pytestmark = pytest.mark.anyio


class OnServer:
    """The server of the tests, and the unit of the times of the suites."""

    tick = 0.2

    @pytest.fixture(autouse=True)
    def _own(self, postgres_server: PostgresServer) -> None:
        self.server = postgres_server


class TestPostgresEvents(OnServer, EventStoreConformance):
    """The suite of event stores."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[EventStore]:
        async with new_store(self.server) as store:
            yield store.events


class TestPostgresDocuments(OnServer, DocumentsConformance):
    """The suite of documents."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Documents]:
        async with new_store(self.server) as store:
            yield store.documents("sums")


class TestPostgresInbox(OnServer, InboxConformance):
    """The suite of inboxes."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Inbox]:
        async with new_store(self.server, retention=10 * self.tick) as store:
            yield store.inbox


class TestPostgresTransactions(OnServer, TransactionConformance):
    """The suite of transactions."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[SupportsTransactions]:
        async with new_store(self.server) as store:
            yield store
