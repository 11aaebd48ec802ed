"""Random histories of a queue in memory against a plain model. ``MODD_PROFILE=long`` runs many more examples."""

from __future__ import annotations

import os

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.stores import MemoryQueue
from modd.testing import run_virtual
from tests.loops import BACKENDS
from tests.stores.histories import Both, Step, steps

pytestmark = pytest.mark.slow

EXAMPLES = 5_000 if os.environ.get("MODD_PROFILE") == "long" else 60


async def run(history: list[Step]) -> None:
    both = Both(MemoryQueue(), anyio.current_time, anyio.sleep)
    for step in history:
        await both.step(*step)


@settings(max_examples=EXAMPLES)
@given(history=st.lists(steps, min_size=20, max_size=50))
def test_a_queue_does_what_the_model_does(history: list[Step]) -> None:
    # ST-1
    for backend in BACKENDS:
        run_virtual(run, history, backend=backend)
