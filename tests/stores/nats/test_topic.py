"""The suite of topics on a NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from modd.ports.storage import Storage
from modd.testing.conformance import TopicConformance
from tests.stores.nats.test_records import OnCluster, OnServer

pytestmark = pytest.mark.anyio


class TestNatsTopic(OnServer, TopicConformance):
    # NA-1

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        async with self.open() as store:
            yield store


@pytest.mark.slow
class TestNatsTopicOnCluster(OnCluster, TestNatsTopic): ...
