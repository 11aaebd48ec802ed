"""The parts of a store in PostgreSQL keep the promises of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from modd.ports import Cache, Documents, EventStore, Feed, Inbox, Locks, Outbox, Storage, SupportsTransactions
from modd.testing.conformance import (
    CacheConformance,
    DocumentsConformance,
    EventStoreConformance,
    FeedConformance,
    InboxConformance,
    LocksConformance,
    OutboxConformance,
    StorageConformance,
    TopicConformance,
    TransactionConformance,
)
from tests.postgres.server import PostgresServer
from tests.stores.postgres.clock import TestClock
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


class TestPostgresCache(OnServer, CacheConformance):
    """The suite of caches."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Cache]:
        async with new_store(self.server) as store:
            yield store.cache


class TestPostgresLocks(OnServer, LocksConformance):
    """The suite of locks."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Locks]:
        async with new_store(self.server) as store:
            yield store.locks


class TestPostgresOutbox(OnServer, OutboxConformance):
    """The suite of outboxes."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        async with new_store(self.server) as store:
            yield store.outbox

    def transaction(self, outbox: Any) -> AbstractAsyncContextManager[object]:
        """One of its store."""
        transaction: AbstractAsyncContextManager[object] = outbox.transaction()
        return transaction


class TestPostgresFeed(OnServer, FeedConformance):
    """The suite of feeds."""

    retention_ticks = 10
    most = 1_000

    @pytest.fixture(autouse=True)
    def _clock(self, clock: TestClock) -> None:
        self.clock = clock

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Feed]:
        async with self.clock.new_store() as store:
            yield store.feed("public", retention=10 * self.tick, most=1_000)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the database."""
        self.clock.now += seconds

    def transaction(self, feed: Any) -> AbstractAsyncContextManager[object]:
        """One of its store."""
        transaction: AbstractAsyncContextManager[object] = feed.transaction()
        return transaction


class TestPostgresTransactions(OnServer, TransactionConformance):
    """The suite of transactions."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[SupportsTransactions]:
        async with new_store(self.server) as store:
            yield store


class TestPostgresStore(OnServer, StorageConformance):
    """The suite of stores."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        async with new_store(self.server) as store:
            yield store


class TestPostgresTopic(OnServer, TopicConformance):
    """The suite of topics."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        async with new_store(self.server) as store:
            yield store
