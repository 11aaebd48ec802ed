"""Random histories of events in a file against a plain model, also in transactions of which half are dropped."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loops import BACKENDS
from tests.stores.memory.test_events_property import Both, steps
from tests.stores.sqlite.laws import queue_in_file

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 15

blocks = st.tuples(st.sampled_from(["alone", "kept", "dropped"]), st.lists(steps, max_size=6))


class Dropped(Exception):
    """Ends a transaction that is not to be kept."""


async def do(both: Both, history: list[Any]) -> None:
    for name, *arguments in history:
        await getattr(both, name)(*arguments)


async def run(history: list[tuple[str, list[Any]]]) -> None:
    async with queue_in_file() as in_file:
        both = Both(in_file.store.events)
        for kind, each in history:
            if kind == "alone":
                await do(both, each)
                continue
            before = deepcopy(both.model)
            try:
                async with in_file.store.transaction(immediate=True, max_seconds=600):
                    await do(both, each)
                    if kind == "dropped":
                        raise Dropped
            except Dropped:
                both.model = before
        await do(both, [("read", stream, 0) for stream in "abc"])


@settings(max_examples=EXAMPLES)
@given(history=st.lists(blocks, max_size=6))
def test_events_in_a_file_are_what_the_model_has(history: list[Any]) -> None:
    # ST-6, WM-1, WM-2
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
