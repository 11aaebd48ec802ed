"""Random histories of events in a file against a plain model, also in transactions of which half are dropped."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loops import BACKENDS
from tests.stores.event_histories import blocks, do_blocks
from tests.stores.sqlite.laws import queue_in_file

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 15


async def run(history: list[tuple[str, list[Any]]]) -> None:
    async with queue_in_file() as in_file:
        await do_blocks(in_file.store, history)


@settings(max_examples=EXAMPLES)
@given(history=st.lists(blocks, max_size=6))
def test_events_in_a_file_are_what_the_model_has(history: list[Any]) -> None:
    # ST-6, WM-1, WM-2
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
