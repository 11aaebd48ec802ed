"""The suites of the cache, the locks, the inbox, documents and transactions on a NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modd.ports.cache import Cache
from modd.ports.documents import Documents
from modd.ports.inbox import Inbox
from modd.ports.locks import Locks
from modd.ports.transaction import SupportsTransactions
from modd.testing.conformance import (
    CacheConformance,
    DocumentsConformance,
    InboxConformance,
    LocksConformance,
    TransactionConformance,
)
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio


class OnServer:
    """Gives suites the server of the tests."""

    tick = 0.25

    @pytest.fixture(autouse=True)
    def _use(self, nats_server: NatsServer) -> None:
        self.server: Any = nats_server


class TestNatsCache(OnServer, CacheConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Cache]:
        async with open_store(self.server) as store:
            yield store.cache


class TestNatsLocks(OnServer, LocksConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Locks]:
        async with open_store(self.server) as store:
            yield store.locks


class TestNatsInbox(OnServer, InboxConformance):
    retention_ticks = 4

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Inbox]:
        async with open_store(self.server, retention=4 * self.tick) as store:
            yield store.inbox


class TestNatsDocuments(OnServer, DocumentsConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Documents]:
        async with open_store(self.server) as store:
            yield store.documents("states")


class TestNatsTransactions(OnServer, TransactionConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[SupportsTransactions]:
        async with open_store(self.server) as store:
            yield store
