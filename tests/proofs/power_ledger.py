"""What a store was told to do, what it said is done, and whether what it has after a loss of power agrees with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeAlias

Thing: TypeAlias = tuple[str, str]
"""Something that has a value in the store: what kind it is of, and its name."""


class Step:
    """One call: it was begun when so many entries were in the log, and it was acknowledged when there were so many."""

    def __init__(self, begun: int) -> None:
        self.begun, self.acknowledged = begun, 0
        self.changes: list[tuple[Thing, int, Any]] = []

    def changed(self, thing: Thing, rank: int, value: Any) -> None:
        """Note what the call makes of a thing; the changes of one thing happen in the order of their ranks."""
        self.changes.append((thing, rank, value))


class Ledger:
    """All calls of a run. now: how many entries the log has."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._steps: list[Step] = []
        self._ranks: dict[Thing, Iterator[int]] = {}

    @contextmanager
    def step(self) -> Iterator[Step]:
        """A call, for as long as it is awaited; it can be told afterwards what it changed."""
        step = Step(self._now())
        yield step
        step.acknowledged = self._now()
        self._steps.append(step)

    def rank(self, thing: Thing) -> int:
        """A rank behind those that were given for the thing before."""
        return next(self._ranks.setdefault(thing, count()))

    def histories(self) -> Histories:
        """What became of each thing."""
        return Histories(self._steps)


class Histories:
    """What became of each thing, in order; made when the run is over."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._of: dict[Thing, list[tuple[int, Any, Step]]] = {}
        for step in steps:
            for thing, rank, value in step.changes:
                self._of.setdefault(thing, []).append((rank, value, step))
        for history in self._of.values():
            history.sort(key=lambda change: change[0])

    def faults(self, cut: int, found: Mapping[Thing, Any]) -> list[str]:
        """What is wrong with this, of a store that lost its power after so many entries."""
        faults = [f"{thing} is {found[thing]!r} and was never written" for thing in found.keys() - self._of.keys()]
        done: dict[Step, list[set[bool]]] = {}
        for thing, history in self._of.items():
            fits = _fitting(history, cut, found.get(thing))
            if not fits:
                faults.append(f"{thing} is {found.get(thing)!r}, after {cut} of {_shown(history)}")
            for place, (_, _, step) in enumerate(history):
                if step.begun < cut < step.acknowledged:
                    done.setdefault(step, []).append({place < fit for fit in fits})
        faults += [f"half of {step.changes}" for step, each in done.items() if not set.intersection(*each)]
        return faults


def _fitting(history: list[tuple[int, Any, Step]], cut: int, value: Any) -> list[int]:
    """How many of the changes can have happened, so that this is the value now."""
    least = max((place for place, (_, _, step) in enumerate(history, 1) if step.acknowledged <= cut), default=0)
    most = next((place for place, (_, _, step) in enumerate(history) if step.begun >= cut), len(history))
    values = [None, *(value for _, value, _ in history)]
    return [place for place in range(least, most + 1) if values[place] == value]


def _shown(history: list[tuple[int, Any, Step]]) -> list[tuple[int, int, Any]]:
    return [(step.begun, step.acknowledged, value) for _, value, step in history]
