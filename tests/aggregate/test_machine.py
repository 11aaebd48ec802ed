"""The state machine for aggregates finds each planted fault, and none in an aggregate that is right."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from modd import Value
from modd.aggregate import Aggregate, CommandRejected, Explanation, Instance, Rejected
from modd.cqrs import Command, Event
from modd.testing import aggregate_machine
from modd.testing.state_machine import Trial


class Sum(Value, frozen=True):
    total: float = 0.0
    seen: Any = None


class Add(Command[None]):
    id: str
    amount: int


class Added(Event):
    id: str
    amount: int


commands = st.builds(Add, st.sampled_from("ab"), st.integers(-2, 5))


def add(sum: Instance[Sum], command: Add) -> Added | Rejected:
    return Added(command.id, command.amount) if command.amount >= 0 else Rejected("Amount is negative.")


def added(state: Sum, event: Added) -> Sum:
    return msgspec.structs.replace(state, total=state.total + event.amount)


def sums(add: Callable[..., Any] = add, added: Callable[..., Any] = added, state: Sum | None = None) -> Aggregate[Sum]:
    return Aggregate("sum", identity="id", state=state or Sum(), commands={Add: add}, events={Added: added})


def run(aggregate: Aggregate[Any], invariant: Callable[[Sum], object] | None = None, examples: int = 199) -> None:
    machine = aggregate_machine(aggregate, commands, invariant)
    chosen = settings(
        max_examples=examples, stateful_step_count=10, deadline=None, phases=[Phase.generate], database=None
    )
    run_state_machine_as_test(machine, settings=settings(chosen, derandomize=True))


@pytest.mark.costly
def test_an_aggregate_that_is_right_passes() -> None:
    # WM-71
    run(sums(), lambda state: state.total >= 0, examples=10)


def fails_for_two(state: Sum, event: Added) -> Sum:
    assert event.amount != 2
    return added(state, event)


def tells_no_lists_apart(state: Sum, event: Added) -> Sum:
    return msgspec.structs.replace(added(state, event), seen=(event.amount,))  # a list, once it was decoded


def failing_when_read() -> Callable[[Sum, Added], Sum]:
    """Return an event function that succeeds thrice, for two explanations and a decision, and never again."""
    calls: list[int] = []

    def apply(state: Sum, event: Added) -> Sum:
        calls.append(event.amount)
        assert len(calls) <= 3
        return added(state, event)

    return apply


def by_chance(sum: Instance[Sum], command: Add) -> Added | Rejected:
    return Added(command.id, random.randrange(1000))


def folds_by_chance(state: Sum, event: Added) -> Sum:
    return msgspec.structs.replace(state, total=state.total + random.random())


def rejects_once(sum: Instance[Sum], command: Add) -> Added | Rejected:
    """Decide by a memory of its own: the second look at the same command differs."""
    rejects_once.calls += 1  # type: ignore[attr-defined]
    return Rejected("Try again.") if rejects_once.calls % 3 == 0 else Added(command.id, command.amount)  # type: ignore[attr-defined]


rejects_once.calls = 0  # type: ignore[attr-defined]


class Careless(Aggregate[Sum]):
    """An aggregate that is not as modd's: it records for a rejection, or a command twice, or explains wrongly."""

    fault = ""

    async def dispatch(self, intent: Any, /, *stamps: Any) -> Any:
        command = intent.message
        if self.fault == "rejection":
            try:
                return await super().dispatch(intent, *stamps)
            except CommandRejected:
                await self.record(command, Added(command.id, 0))
                raise
        if self.fault == "twice" and intent.id in self.seen:
            await self.record(command, Added(command.id, 0))
        self.seen.add(intent.id)
        return await super().dispatch(intent, *stamps)

    async def explain(self, command: Any, /, *stamps: Any) -> Explanation:
        found = await super().explain(command, *stamps)
        return Explanation(("No.",), ("add",)) if self.fault == "explanation" else found

    @property
    def seen(self) -> set[str]:
        return vars(self).setdefault("_seen", set())  # type: ignore[no-any-return]


def careless(fault: str) -> Aggregate[Sum]:
    kind = type("Careless", (Careless,), {"fault": fault})
    aggregate: Aggregate[Sum] = kind("sum", identity="id", state=Sum(), commands={Add: add}, events={Added: added})
    return aggregate


@pytest.mark.costly
@pytest.mark.parametrize(
    ("aggregate", "fault"),
    [
        (sums(added=fails_for_two), "assert 2 != 2"),
        (sums(added=tells_no_lists_apart), "differs"),
        (careless("rejection"), "was rejected .* and recorded"),
        (careless("explanation"), "disagrees"),
        (careless("twice"), "took effect twice"),
        (sums(by_chance), "not pure"),
        (sums(rejects_once), "disagrees|not pure"),
        (sums(added=folds_by_chance), "not pure|differs"),
    ],
    ids=[
        "event function",
        "encoding",
        "rejection",
        "explanation",
        "twice",
        "impure",
        "memory",
        "impure fold",
    ],
)
def test_each_planted_fault_is_found(aggregate: Aggregate[Sum], fault: str) -> None:
    # WM-71
    with pytest.raises(AssertionError, match=fault):
        run(aggregate)


def test_a_broken_invariant_is_found() -> None:
    # WM-71
    with pytest.raises(AssertionError, match="invariant"):
        run(sums(), lambda state: state.total < 3)


@pytest.mark.anyio
async def test_recorded_events_that_cannot_be_read_are_told() -> None:
    # WM-71
    trial: Trial[Sum] = Trial(sums(added=failing_when_read()), None)
    with pytest.raises(AssertionError, match=r"after Add.* the recorded events cannot be read"):
        await trial.send(Add("a", 1))
