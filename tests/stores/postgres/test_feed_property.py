"""Random histories of a feed in PostgreSQL against the model of the feed in memory."""

from __future__ import annotations

import os
from contextlib import closing
from itertools import count
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.stores.postgres.store import PostgresStore
from tests.loops import BACKENDS
from tests.postgres.server import PostgresServer
from tests.stores.memory.test_feed_property import MOST, RETENTION, Both, blocks, transact
from tests.stores.postgres.clock import TestClock
from tests.stores.postgres.stores import new_schema

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 15
names = count(1)


class BothOnServer(Both):
    """A feed and the model, which do the same steps at the time of a clock."""

    store: Any
    feed: Any

    def __init__(self, store: PostgresStore, clock: TestClock) -> None:
        super().__init__()
        self.store, self.feed = store, store.feed(f"{next(names)}", RETENTION, MOST)
        self._slow, self._clock = self.feed.follow(0), clock
        clock.now = self.model.now

    async def tick(self, seconds: int) -> None:
        await super().tick(seconds)
        self._clock.now = self.model.now


async def run(history: list[Any], clock: TestClock, schema: str) -> None:
    async with clock.new_store(schema) as store:
        both = BothOnServer(store, clock)
        for kind, immediate, inside in history:
            if kind != "alone":
                await transact(both, kind == "kept", immediate, inside)
                continue
            for name, argument in inside:
                await getattr(both, name)(argument)
            await store._sweeper.sweep()
        for after in range(len(both.model.items) + 2):
            await both.look(after)


def test_a_feed_on_a_server_has_what_the_model_has(postgres_server: PostgresServer) -> None:
    # FE-1, FE-2, FE-3, FE-4, FE-5, FE-6
    with closing(TestClock(postgres_server)) as clock:
        schema = new_schema()

        @settings(max_examples=EXAMPLES, deadline=None)
        @given(history=st.lists(blocks, max_size=8))
        def check(history: list[Any]) -> None:
            for backend in BACKENDS:
                anyio.run(run, history, clock, schema, backend=backend)

        check()
