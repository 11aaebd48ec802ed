"""Random histories of a feed in a file against the model of the feed in memory."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.stores import SqliteStore
from tests.loops import BACKENDS
from tests.stores.memory.test_feed_property import MOST, RETENTION, Both, blocks, transact

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 15


async def run(history: list[Any]) -> None:
    both: Any = Both()
    with TemporaryDirectory() as folder:
        async with SqliteStore(Path(folder) / "store.db", clock=lambda: both.model.now) as both.store:
            both.feed = both.store.feed("public", RETENTION, MOST)
            both._slow = both.feed.follow(0)
            for kind, immediate, inside in history:
                if kind != "alone":  # a deferred put has the time of its call, and the model that of the commit
                    await transact(both, kind == "kept", immediate, [step for step in inside if step[0] != "tick"])
                    continue
                for name, argument in inside:
                    await getattr(both, name)(argument)
                await both.store._sweeper.sweep()
            for after in range(len(both.model.items) + 2):
                await both.look(after)


@settings(max_examples=EXAMPLES, deadline=None)
@given(history=st.lists(blocks, max_size=8))
def test_a_feed_in_a_file_has_what_the_model_has(history: list[Any]) -> None:
    # FE-1, FE-2, FE-3, FE-4, FE-5, FE-6
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
