"""Calls to a queue at the same time, and the order in which the model of one comes to the same."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import permutations
from typing import Any

import anyio
from hypothesis import strategies as st

from modd.ports import Claim
from tests.stores.histories import Step, expected, method, outcome, passes, people, puts, settles, takes, told_by
from tests.stores.model import ModelQueue

at_once = st.lists(st.one_of(puts, takes, settles, settles, people), min_size=1, max_size=4)
twice = st.lists(settles, min_size=1, max_size=2).map(lambda each: [*each, *each])
histories = st.lists(st.one_of(at_once, at_once, twice, passes), min_size=5, max_size=15)


class Together:
    """Does steps at the same time to a queue, and finds the order in which the model comes to the same."""

    def __init__(self, both: Any) -> None:
        self.both = both

    async def run(self, history: Sequence[Any]) -> None:
        """Do a history of steps, and of lists of steps at the same time."""
        for each in history:
            if isinstance(each, list):
                await self.steps(each)
            else:
                await self.both.step(*each)

    async def steps(self, each: Sequence[Step]) -> None:
        known = len(self.both.claims)
        possible = [
            (name, [known - 1 - number for number in which], given)
            for name, which, given in each
            if all(number < known for number in which)
        ]
        real = await self.call(possible)
        left, told = self.both.left(), await told_by(self.both.queue)
        for order in permutations(range(len(possible))):
            model = deepcopy(self.both.model)
            model.now = self.both._now()
            same = all(answer(model, possible[number]) == seen(real[number]) for number in order)
            if same and left == model.left() and told == (model.stats(), model.dead()):
                self.both.model = model
                self.both.claims += [claim for number in order for claim in claims_of(real[number])]
                await self.both.compare()
                return
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
