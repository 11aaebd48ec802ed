"""The state machine for aggregates finds each planted fault, and none in an aggregate that is right."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from modd import Value
from modd.aggregate import Aggregate, Instance, Rejected
from modd.cqrs import Command, Event
from modd.testing import aggregate_machine


class Sum(Value, frozen=True):
    total: float = 0.0
    names: tuple[str, ...] | list[str] = ()


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


def run(aggregate: Aggregate[Any], invariant: Callable[[Sum], object] | None = None) -> None:
    machine = aggregate_machine(aggregate, commands, invariant)
    chosen = settings(max_examples=200, stateful_step_count=10, deadline=None, phases=[Phase.generate], database=None)
    run_state_machine_as_test(machine, settings=settings(chosen, derandomize=True))


def test_an_aggregate_that_is_right_passes() -> None:
    # WM-71
    run(sums(), lambda state: state.total >= 0)


def fails_for_two(state: Sum, event: Added) -> Sum:
    assert event.amount != 2
    return added(state, event)


def tells_no_lists_apart(state: Sum, event: Added) -> Sum:
    return msgspec.structs.replace(added(state, event), names=[*state.names, "a"])


def forgets_in_snapshots(state: Sum, event: Added) -> Sum:
    return msgspec.structs.replace(state, total=state.total + (float("nan") if event.amount == 5 else event.amount))


def by_chance(sum: Instance[Sum], command: Add) -> Added | Rejected:
    return Added(command.id, random.randrange(1000))


def folds_by_chance(state: Sum, event: Added) -> Sum:
    return msgspec.structs.replace(state, total=state.total + random.random())
