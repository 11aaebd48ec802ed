"""Random histories of a queue, and how each is done to a queue and to the model of one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from modd.ports import Claim, Item, LeaseLost, Queue, Stats, Unique
from tests.stores.model import ModelQueue

Step: TypeAlias = tuple[str, Sequence[int], Sequence[Any]]
"""What to do, which claims to do it with, counted from the last, and what else to give."""

keys = st.sampled_from([None, "k", "l"])
delays, leases = st.sampled_from([0, 0, 1, 2, 3]), st.integers(1, 3)
ids = st.sampled_from("abcde")
uniques: SearchStrategy[Unique] = st.sampled_from(["until-done", "until-done", "until-started"])
items = st.builds(Item, st.just(b""), key=keys, delay=delays, id=ids, unique=uniques)
NONE: SearchStrategy[Any] = st.just([])
claims = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])


def step(name: str, *given: SearchStrategy[Any], of: SearchStrategy[Any] = NONE) -> SearchStrategy[Step]:
    return st.tuples(st.just(name), of, st.tuples(*given))


one = st.tuples(claims)
puts: SearchStrategy[Step] = st.tuples(st.just("put"), NONE, st.lists(items, min_size=1, max_size=3))
takes = step("claim", st.integers(1, 3), leases, st.sampled_from(["last", "last", "first", "none"]))
settles = st.one_of(
    step("ack", of=st.lists(claims, max_size=3)),
    step("retry", delays, of=one),
    step("release", of=one),
    step("bury", st.sampled_from(["x", "y"]), of=one),
    step("extend", leases, of=one),
)
passes = step("pass", st.sampled_from([0.5, 1, 2]))
people = st.one_of(step("cancel", ids), step("redrive", ids), step("discard", ids))
others = st.one_of(passes, people)
steps = st.sampled_from([puts, takes, takes, settles, settles, others]).flatmap(lambda kind: kind)
"""One of those that there are, each as often as it is of use."""


class Both:
    """A queue and the model of one, to which the same is done.

    now: the time that the queue knows, in seconds. pass_time: has so many seconds pass.
    """

    def __init__(self, queue: Queue, now: Callable[[], float], pass_time: Callable[[float], Awaitable[None]]) -> None:
        self.queue, self.model = queue, ModelQueue(now())
        self.claims: list[Claim] = []
        self._now, self._pass_time = now, pass_time

    async def step(self, name: str, which: Sequence[int], given: Sequence[Any]) -> None:
        """Do one step to both, and compare what comes of it and what there is then."""
        await self.do(name, which, given)
        await self.compare()

    async def do(self, name: str, which: Sequence[int], given: Sequence[Any]) -> None:
        """Do one step to both, and compare what comes of it."""
        if name == "pass":
            await self._pass_time(*given)
        self.model.now = self._now()
        if name == "claim":
            await self.claim(*given)
        elif name != "pass" and all(number < len(self.claims) for number in which):
            await self.call(name, [len(self.claims) - 1 - number for number in which], given)

    async def claim(self, limit: int, lease: float, suspects: Any) -> None:
        claims = await method(self.queue, "claim")(limit, lease, suspects)
        assert [(claim.id, claim.attempt, claim.suspect) for claim in claims] == self.model.claim(
            limit, lease, suspects
        )
        self.claims += claims

    async def call(self, name: str, which: Sequence[int], given: Sequence[Any]) -> None:
        real = await outcome(method(self.queue, name), *[self.claims[number] for number in which], *given)
        assert real == expected(getattr(self.model, name), *which, *given)

    async def compare(self) -> None:
        """Compare what there is in both."""
        await self.compare_reads()

    async def compare_reads(self) -> None:
        """Compare what both tell of what there is."""
        self.model.now = self._now()
        assert await told_by(self.queue) == (self.model.stats(), self.model.dead())


async def told_by(queue: Queue) -> tuple[Stats, list[tuple[str, str | None, int]]]:
    """What a queue tells of what there is."""
    return await queue.stats(), [(dead.id, dead.reason, dead.attempts) for dead in await queue.dead()]


def method(queue: Queue, name: str) -> Callable[..., Awaitable[Any]]:
    """A method of a queue, which takes what a step has."""
    if name == "claim":
        return lambda limit, lease, suspects: queue.claim(limit, lease, suspects=suspects)
    found: Callable[..., Awaitable[Any]] = getattr(queue, name)
    return found


async def outcome(function: Callable[..., Awaitable[Any]], *given: Any) -> Any:
    """What a call to a queue returns, or the ids whose leases it tells to be lost."""
    try:
        return await function(*given)
    except LeaseLost as lost:
        return [*dict.fromkeys(lost.ids)]  # one that is given twice may be named twice


def expected(function: Callable[..., Any], *given: Any) -> Any:
    """The same of the model."""
    try:
        return function(*given)
    except LeaseLost as lost:
        return [*dict.fromkeys(lost.ids)]
