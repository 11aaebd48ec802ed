"""The suites of the cache, the locks, the inbox, documents and transactions on a NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from modd.ports.cache import Cache
from modd.ports.documents import Documents
from modd.ports.inbox import Inbox
from modd.ports.locks import Locks
from modd.ports.storage import Storage
from modd.ports.transaction import SupportsTransactions
from modd.stores.nats.store import NatsStore
from modd.testing.conformance import (
    CacheConformance,
    DocumentsConformance,
    InboxConformance,
    LocksConformance,
    StorageConformance,
    TransactionConformance,
)
from tests.nats.server import NatsCluster, NatsServer
from tests.stores.nats.stores import open_store

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # they wait for the clock of the server


class OnServer:
    """Gives suites the server of the tests."""

    tick = 0.25
    replicas = 1

    @pytest.fixture(autouse=True)
    def _use(self, nats_server: NatsServer) -> None:
        self.server: Any = nats_server

    def open(self, **options: Any) -> AbstractAsyncContextManager[NatsStore]:
        """Open a new store."""
        return open_store(self.server, replicas=self.replicas, **options)


@pytest.mark.cluster
class OnCluster:
    """Gives suites a cluster of three servers, each of which has all records."""

    replicas = 3

    @pytest.fixture(autouse=True)
    def _use(self, nats_cluster: NatsCluster) -> None:
        self.server: Any = nats_cluster


class TestNatsCache(OnServer, CacheConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Cache]:
        async with self.open() as store:
            yield store.cache


class TestNatsLocks(OnServer, LocksConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Locks]:
        async with self.open() as store:
            yield store.locks


class TestNatsInbox(OnServer, InboxConformance):
    retention_ticks = 4

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Inbox]:
        async with self.open(retention=4 * self.tick) as store:
            yield store.inbox


class TestNatsDocuments(OnServer, DocumentsConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Documents]:
        async with self.open() as store:
            yield store.documents("states")


class TestNatsTransactions(OnServer, TransactionConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[SupportsTransactions]:
        async with self.open() as store:
            yield store


class TestNatsCacheOnCluster(OnCluster, TestNatsCache): ...


class TestNatsLocksOnCluster(OnCluster, TestNatsLocks): ...


class TestNatsInboxOnCluster(OnCluster, TestNatsInbox): ...


class TestNatsDocumentsOnCluster(OnCluster, TestNatsDocuments): ...


class TestNatsTransactionsOnCluster(OnCluster, TestNatsTransactions): ...


class TestNatsStorage(OnServer, StorageConformance):
    holds_writers_off = False

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        async with self.open() as store:
            yield store


class TestNatsStorageOnCluster(OnCluster, TestNatsStorage): ...
