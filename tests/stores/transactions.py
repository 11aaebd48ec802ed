"""Random transactions on a queue: each is kept whole or dropped, as is a copy of the model."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import strategies as st

from modd.ports import PutResult, ReadConflict
from modd.stores.errors import ResultNeeded
from tests.stores.histories import expected, method, outcome, steps

ANSWERS = ("claim", "redrive", "discard")

flat = st.lists(steps, max_size=5)
UNTRUE = "the answer to a cancel was not true at the commit"

kept = st.booleans()
parts = st.tuples(st.just("part"), kept, flat)
blocks = st.tuples(kept, st.lists(st.one_of(steps, steps, steps, parts), min_size=1, max_size=6))
histories = st.lists(st.tuples(flat, blocks), min_size=3, max_size=8)


class Undone(Exception):
    """Ends a block that is not to be kept."""


LONG = 3600.0
"""Seconds that a transaction may take: histories let time pass in one."""


class Transactions:
    """Does steps in transactions of a store, and in the model; what is dropped there is put back here.

    immediate: whether the transactions write at once. lost: what the first of the collected writes will fail with.
    """

    def __init__(self, both: Any, immediate: bool) -> None:
        self.both, self.immediate = both, immediate
        self.lost: Any = None
        self.committed = both.model

    async def transaction(self, is_kept: bool, each: list[Any]) -> None:
        """A whole transaction; what comes of it is compared."""
        self.lost, self.committed = None, deepcopy(self.both.model)
        before = self.state()
        try:
            lost = await outcome(self.block, is_kept, each)
        except ReadConflict:
            lost = UNTRUE
        assert lost == self.lost
        if lost is not None:
            self.restore(before)
        await self.both.compare()

    async def block(self, is_kept: bool, each: list[Any]) -> None:
        """A transaction or a part of one."""
        before = self.state()
        try:
            async with self.both.store.transaction(immediate=self.immediate, max_seconds=LONG):
                for name, which, arguments in each:
                    await self.step(name, which, arguments)
                if not is_kept:
                    raise Undone
        except Undone:
            self.restore(before)

    async def step(self, name: str, which: Any, arguments: Any) -> None:
        if name == "part":
            await self.block(which, arguments)
        elif self.immediate:
            await self.both.do(name, which, arguments)
            await self.both.compare_reads()
        else:
            await self.collect(name, which, arguments)

    async def collect(self, name: str, which: Any, arguments: Any) -> None:
        """A step whose write is done at the end: it fails then, and what is read is as it was at the beginning."""
        queue, model, claims = self.both.queue, self.both.model, self.both.claims
        if name in ANSWERS:
            with pytest.raises(ResultNeeded):
                await method(queue, name)(*arguments)
        elif name == "cancel":
            told = await queue.cancel(*arguments)
            assert told == deepcopy(self.committed).cancel(*arguments)
            if model.cancel(*arguments) != told:
                self.lost = self.lost or UNTRUE
        elif name != "pass" and all(number < len(claims) for number in which):
            real = await outcome(getattr(queue, name), *[claims[-1 - number] for number in which], *arguments)
            wanted = expected(getattr(model, name), *[len(claims) - 1 - number for number in which], *arguments)
            if real != (wanted if name != "put" else [PutResult(each.id, None) for each in wanted]):
                self.lost = self.lost or wanted
        assert await queue.stats() == self.committed.stats()

    def state(self) -> Any:
        return deepcopy(self.both.model), [*self.both.claims], self.lost

    def restore(self, state: Any) -> None:
        self.both.model, self.both.claims, self.lost = state
