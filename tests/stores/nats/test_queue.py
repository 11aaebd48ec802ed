"""The queue and the outbox on a NATS server: the suites of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

import pytest

from modd.nats.link import Link
from modd.ports import Outbox, Queue
from modd.stores.nats.store import NatsStore
from modd.testing.conformance import OutboxConformance, QueueConformance
from tests.nats.server import NatsServer

pytestmark = pytest.mark.anyio


class TestNatsQueue(QueueConformance):
    """The suite of the port. NA-1."""

    tick = 0.25

    @pytest.fixture(autouse=True)
    def _server(self, nats_server: NatsServer) -> None:
        self.url = nats_server.url

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Queue]:
        async with Link(self.url, name="test") as link, NatsStore(link, token_hex(8)) as store:
            yield store.queue("orders")


class TestNatsOutbox(OutboxConformance):
    """The suite of the port. NA-1."""

    tick = 0.25

    @pytest.fixture(autouse=True)
    def _server(self, nats_server: NatsServer) -> None:
        self.url = nats_server.url

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        async with Link(self.url, name="test") as link, NatsStore(link, token_hex(8)) as store:
            yield store.outbox
