"""Random transactions on a queue in memory: each is kept whole or dropped, and hidden from others until its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from hypothesis import given, settings

from modd.stores import MemoryStore
from modd.stores.queue_state.places import CHANGING, Places
from modd.testing import run_virtual
from tests.loops import BACKENDS
from tests.stores.histories import Both, Step
from tests.stores.transactions import Transactions, histories

pytestmark = pytest.mark.slow

EXAMPLES = 1_500 if os.environ.get("MODD_PROFILE") == "long" else 20


class MemoryBoth(Both):
    """A queue of a store in memory and the model of one; after each step all changes are undone and made again."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        super().__init__(self.store.queue("orders"), anyio.current_time, anyio.sleep)
        self.state = self.store.queue("orders")._state

    async def do(self, name: str, which: Sequence[int], given: Sequence[Any]) -> None:
        """Do one step to both."""
        await super().do(name, which, given)
        before = content(self.state.places)
        with self.store.undo_log.undone():
            pass
        assert content(self.state.places) == before


def content(places: Places) -> Any:
    """All that a queue consists of."""
    ready = places.ready
    lanes = {key: (lane.owner, lane.front, sorted(lane.due._entries.items())) for key, lane in ready._lanes.items()}
    heaps = (places.delayed, places.leased, places.suspects, ready._claimable, places.left._due)
    return (
        {name: [getattr(item, field) for field in CHANGING] for name, item in places.items.items()},
        {id: sorted(same) for id, same in places.by_id.items()},
        [dict(heap._entries) for heap in heaps],
        (lanes, dict(places.left._names), [*places.dead]),
    )


async def run(history: list[tuple[list[Step], Any]], immediate: bool) -> None:
    both = MemoryBoth()
    transactions = Transactions(both, immediate)
    for alone, (is_kept, inside) in history:
        for step in alone:
            await both.do(*step)
        both.state._update_due()
        before = content(both.state.places)
        await transactions.transaction(is_kept, inside)
        if not is_kept and "pass" not in str(inside):
            assert content(both.state.places) == before


@pytest.mark.parametrize("immediate", [False, True])
@settings(max_examples=EXAMPLES)
@given(history=histories)
def test_a_transaction_in_memory_is_done_whole_or_not_at_all(immediate: bool, history: list[Any]) -> None:
    # WM-7
    for backend in BACKENDS:
        run_virtual(run, history, immediate, backend=backend)
