"""Random histories of a queue in a file against a plain model. ``MODD_PROFILE=long`` runs many more examples."""

from __future__ import annotations

import os

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loops import BACKENDS
from tests.stores.histories import Step, steps
from tests.stores.sqlite.laws import queue_in_file

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 15


async def run(history: list[Step]) -> None:
    async with queue_in_file() as both:
        for step in history:
            await both.step(*step)


@settings(max_examples=EXAMPLES)
@given(history=st.lists(steps, min_size=20, max_size=50))
def test_a_queue_in_a_file_does_what_the_model_does(history: list[Step]) -> None:
    # ST-1
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
