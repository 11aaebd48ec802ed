"""Random histories of an event store against a plain model. ``MODD_PROFILE=long`` runs many more examples."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.stores import MemoryEventStore
from modd.testing import run_virtual
from tests.loops import BACKENDS
from tests.stores.event_histories import Both, do, steps

pytestmark = pytest.mark.slow

EXAMPLES = 4_000 if os.environ.get("MODD_PROFILE") == "long" else 40


async def run(history: list[Any]) -> None:
    both = Both(MemoryEventStore())
    await do(both, [*history, *(("read", stream, 0) for stream in "abc")])


@settings(max_examples=EXAMPLES)
@given(history=st.lists(steps, max_size=20))
def test_an_event_store_does_what_the_model_does(history: list[Any]) -> None:
    # ST-6, WM-1, WM-2
    for backend in BACKENDS:
        run_virtual(run, history, backend=backend)
