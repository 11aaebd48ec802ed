"""Random histories of a queue against a plain model. ``MODD_PROFILE=long`` runs many more examples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from modd.ports import Claim, Item, LeaseLost, Queue
from modd.stores import MemoryQueue
from modd.testing import run_virtual
from tests.stores.model import ModelQueue

EXAMPLES = 20_000 if os.environ.get("MODD_PROFILE") == "long" else 300

keys = st.sampled_from([None, "k", "l"])
delays, leases = st.sampled_from([0, 0, 1, 2, 3]), st.integers(1, 3)
ids = st.sampled_from("abcde")
items = st.builds(Item, st.just(b""), key=keys, delay=delays, id=ids)
NONE: SearchStrategy[Any] = st.just([])
claims = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])  # one of the claims there were, counted from the last


def step(name: str, *given: SearchStrategy[Any], of: SearchStrategy[Any] = NONE) -> SearchStrategy[Any]:
    """What to do, which claims to do it with, and what else to give."""
    return st.tuples(st.just(name), of, st.tuples(*given))


one = st.tuples(claims)
puts: SearchStrategy[Any] = st.tuples(st.just("put"), NONE, st.lists(items, min_size=1, max_size=3))
takes = step("claim", st.integers(1, 3), leases)
settles = st.one_of(
    step("ack", of=st.lists(claims, max_size=3)),
    step("retry", delays, of=one),
    step("release", of=one),
    step("bury", st.sampled_from(["x", "y"]), of=one),
    step("extend", leases, of=one),
)
others = st.one_of(
    step("pass", st.sampled_from([0.5, 1, 2])),
    step("cancel", ids),
    step("redrive", ids),
    step("discard", ids),
)
steps = st.sampled_from([puts, takes, takes, settles, settles, others]).flatmap(lambda kind: kind)


class Both:
    """A queue and the model of one, to which the same is done."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.model = queue, ModelQueue()
        self.claims: list[Claim] = []

    async def step(self, name: str, which: Sequence[int], given: Sequence[Any]) -> None:
        """Do one step to both, and compare what comes of it and what there is then."""
        if name == "pass":
            await anyio.sleep(*given)
        self.model.now = anyio.current_time()
        if name == "claim":
            await self.claim(*given)
        elif name != "pass" and all(number < len(self.claims) for number in which):
            await self.call(name, [len(self.claims) - 1 - number for number in which], given)
        assert await self.queue.stats() == self.model.stats()
        assert [(dead.id, dead.reason, dead.attempts) for dead in await self.queue.dead()] == self.model.dead()

    async def claim(self, limit: int, lease: float) -> None:
        claims = await self.queue.claim(limit, lease)
        assert [(claim.id, claim.attempt) for claim in claims] == self.model.claim(limit, lease)
        self.claims += claims

    async def call(self, name: str, which: Sequence[int], given: Sequence[Any]) -> None:
        try:
            real = await getattr(self.queue, name)(*[self.claims[number] for number in which], *given)
        except LeaseLost as lost:
            real = lost.ids
        try:
            expected = getattr(self.model, name)(*which, *given)
        except LeaseLost as lost:
            expected = lost.ids
        assert real == expected


async def run(history: list[Any]) -> None:
    both = Both(MemoryQueue())
    for name, claims_to_use, arguments in history:
        await both.step(name, claims_to_use, arguments)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(steps, min_size=20, max_size=50))
def test_a_queue_does_what_the_model_does(backend: str, history: list[Any]) -> None:
    run_virtual(run, history, backend=backend)
