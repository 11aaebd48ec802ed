"""Random calls at the same time: they are committed together, and it is as if they had been made one after another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from itertools import permutations
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.ports import Claim
from tests.loops import BACKENDS
from tests.stores.histories import Step, expected, method, outcome, passes, people, puts, settles, takes
from tests.stores.model import ModelQueue
from tests.stores.sqlite.laws import StoreBoth, queue_in_file

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("MODD_PROFILE") == "long" else 20

at_once = st.lists(st.one_of(puts, takes, settles, settles, people), min_size=1, max_size=4)
twice = st.lists(settles, min_size=1, max_size=2).map(lambda each: [*each, *each])
histories = st.lists(st.one_of(at_once, at_once, twice, passes), min_size=5, max_size=15)


class Together:
    """Does steps at the same time to a queue, and finds the order in which the model comes to the same."""

    def __init__(self, both: StoreBoth) -> None:
        self.both = both

    async def steps(self, each: Sequence[Step]) -> None:
        known = len(self.both.claims)
        possible = [
            (name, [known - 1 - number for number in which], given)
            for name, which, given in each
            if all(number < known for number in which)
        ]
        real = await self.call(possible)
        left, stats = self.both.left(), await self.both.queue.stats()
        for order in permutations(range(len(possible))):
            model = deepcopy(self.both.model)
            model.now = self.both._now()
            same = all(answer(model, possible[number]) == seen(real[number]) for number in order)
            if same and left == model.left() and stats == model.stats():
                self.both.model = model
                self.both.claims += [claim for number in order for claim in claims_of(real[number])]
                return await self.both.compare()
        raise AssertionError(f"in no order: {possible} -> {real}")

    async def call(self, each: Sequence[Any]) -> list[Any]:
        """What comes of calls that are made at the same time."""
        results: list[Any] = [None] * len(each)

        async def call(number: int, name: str, which: Sequence[int], given: Sequence[Any]) -> None:
            claims = [self.both.claims[claim] for claim in which]
            results[number] = await outcome(method(self.both.queue, name), *claims, *given)

        async with anyio.create_task_group() as tasks:
            for number, (name, which, given) in enumerate(each):
                tasks.start_soon(call, number, name, which, given)
        return results


def answer(model: ModelQueue, step: Step) -> Any:
    name, which, given = step
    return expected(getattr(model, name), *which, *given)


def seen(result: Any) -> Any:
    """What the model says instead of claims."""
    claims = claims_of(result)
    return [(claim.id, claim.attempt, claim.suspect) for claim in claims] if claims else result


def claims_of(result: Any) -> list[Claim]:
    return [each for each in result or () if isinstance(each, Claim)]


async def run(history: list[Any]) -> None:
    async with queue_in_file() as both:
        together = Together(both)
        for each in history:
            if isinstance(each, list):
                await together.steps(each)
            else:
                await both.step(*each)


@settings(max_examples=EXAMPLES)
@given(history=histories)
def test_calls_at_the_same_time_are_as_if_they_were_one_after_another(history: list[Any]) -> None:
    # ST-2
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
