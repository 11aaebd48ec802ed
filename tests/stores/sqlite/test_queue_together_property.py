"""Random calls at the same time: they are committed together, and it is as if they had been made one after another."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest
from hypothesis import given, settings

from tests.loops import BACKENDS
from tests.stores.sqlite.laws import queue_in_file
from tests.stores.together import Together, histories

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 20


async def run(history: list[Any]) -> None:
    async with queue_in_file() as both:
        await Together(both).run(history)


@settings(max_examples=EXAMPLES)
@given(history=histories)
def test_calls_at_the_same_time_are_as_if_they_were_one_after_another(history: list[Any]) -> None:
    # ST-2
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
