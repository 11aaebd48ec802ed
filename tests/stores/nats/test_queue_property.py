"""Random histories of a queue on a server, which two stores share, against the plain model.

``MODD_PROFILE=long`` runs many more examples.
"""

from __future__ import annotations

import os
from itertools import count, cycle
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modd.ports import Claim, Item, PutResult, Suspects
from modd.stores.nats.queue import NatsQueue
from tests.nats.server import NatsServer
from tests.stores.histories import Both, Step, steps
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 4

LONG = 1000.0
"""Seconds for each second of a history: nobody can let the time of a server pass, so that no lease and delay ends."""


class SharedQueue:
    """The queue of two stores: each call goes to the other one, which has seen what is there."""

    def __init__(self, *queues: NatsQueue) -> None:
        self._queues = cycle(queues)

    async def put(self, *items: Item) -> list[PutResult]:
        longer = [msgspec.structs.replace(item, delay=item.delay * LONG) for item in items]
        return await (await self._next()).put(*longer)

    async def claim(self, limit: int, lease: float, *, suspects: Suspects) -> list[Claim]:
        return await (await self._next()).claim(limit, lease * LONG, suspects=suspects)

    async def retry(self, claim: Claim, delay: float) -> None:
        await (await self._next()).retry(claim, delay * LONG)

    async def extend(self, claim: Claim, lease: float) -> None:
        await (await self._next()).extend(claim, lease * LONG)

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return await getattr(await self._next(), name)(*arguments)

        return call

    async def _next(self) -> NatsQueue:
        queue = next(self._queues)
        await queue.stats()
        return queue


async def run(server: NatsServer, history: list[Step]) -> None:
    moments = count()
    async with open_store(server) as one, open_store(server, one.name) as other:
        shared: Any = SharedQueue(one.queue("orders"), other.queue("orders"))
        both = Both(shared, lambda: next(moments) / 1000, anyio.sleep)
        for step in history:
            await both.step(*step)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(steps.filter(lambda step: step[0] != "pass"), min_size=10, max_size=30))
def test_a_queue_on_a_server_does_what_the_model_does(
    nats_server: NatsServer, backend: str, history: list[Step]
) -> None:
    # NA-1, ST-1
    anyio.run(run, nats_server, history, backend=backend)
