"""The suites of the queue and the outbox on a NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from modd.ports import Outbox, Queue
from modd.testing.conformance import OutboxConformance, QueueConformance
from tests.stores.nats.test_records import OnCluster, OnServer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # they wait for the clock of the server


class TestNatsQueue(OnServer, QueueConformance):
    # NA-1

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Queue]:
        async with self.open() as store:
            yield store.queue("orders")


class TestNatsOutbox(OnServer, OutboxConformance):
    # NA-1

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        async with self.open() as store:
            yield store.outbox

    def transaction(self, outbox: Any) -> AbstractAsyncContextManager[object]:
        transaction: AbstractAsyncContextManager[object] = outbox.transaction()
        return transaction


class TestNatsQueueOnCluster(OnCluster, TestNatsQueue): ...


class TestNatsOutboxOnCluster(OnCluster, TestNatsOutbox): ...
