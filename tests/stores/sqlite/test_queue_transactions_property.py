"""Random transactions on a queue in a file: each is kept whole or dropped, as is a copy of the model."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest
from hypothesis import given, settings

from tests.loops import BACKENDS
from tests.stores.histories import Step
from tests.stores.sqlite.laws import queue_in_file
from tests.stores.transactions import Transactions, histories

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 15


async def run(history: list[tuple[list[Step], Any]], immediate: bool) -> None:
    async with queue_in_file() as both:
        transactions = Transactions(both, immediate)
        for alone, (is_kept, inside) in history:
            for step in alone:
                await both.do(*step)
            await transactions.transaction(is_kept, inside)


@pytest.mark.parametrize("immediate", [False, True])
@settings(max_examples=EXAMPLES)
@given(history=histories)
def test_a_transaction_is_done_whole_or_not_at_all(immediate: bool, history: list[Any]) -> None:
    for backend in BACKENDS:
        anyio.run(run, history, immediate, backend=backend)
