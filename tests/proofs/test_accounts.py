"""The proofs themselves: what is wrong at the end of a trial is found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proofs.accounts import EFFECTS, problems_of
from tests.proofs.kills import step_of
from tests.proofs.orders import is_poison
from tests.proofs.processes import Job, zygote

OFFERED = 7
DONE = [number for number in range(OFFERED) if not is_poison(number)]


def end(**other: Any) -> dict[str, Any]:
    """What there is when all is right, but for what is given."""
    effects = [[what, number] for what in EFFECTS for number in DONE]
    right = {"effects": effects, "totals": {"Ada": 4, "Grace": 2}, "dead": [["id", "why"]], "dead_events": 0}
    return {**right, "integrity": [["ok"]], **other}


def effects_but(what: str, numbers: list[int]) -> list[list[Any]]:
    """The effects, those of one kind being others."""
    return [each for each in end()["effects"] if each[0] != what] + [[what, number] for number in numbers]


def test_nothing_is_wrong_when_all_is_right() -> None:
    assert problems_of(range(OFFERED), OFFERED, end()) == []
    assert problems_of([0, 1], OFFERED, end()) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (end(effects=effects_but("counted", [*DONE, 5])), "counted more than once: [5]"),
        (end(effects=effects_but("mailed", DONE[:-1])), "never mailed: [6]"),
        (end(effects=effects_but("mailed", [0, 1, 4, 2, 5, 6])), "mailed out of order: [4, 2, 6]"),
        (end(effects=effects_but("placed", [*DONE, 3])), "placed, though it was buried"),
        (end(effects=effects_but("placed", [*DONE, 8])), "the effects are not of the same orders"),
        (end(totals={"Ada": 4, "Grace": 3}), "the total of Grace is wrong"),
        (end(dead=[]), "other messages are buried than should be"),
        (end(dead_events=1), "other messages are buried than should be"),
        (end(integrity=[["row 1 missing from index a"]]), "the file is damaged"),
    ],
)
def test_what_is_wrong_is_found(wrong: dict[str, Any], problem: str) -> None:
    assert problem in problems_of(range(OFFERED), OFFERED, wrong)


def test_steps_are_called_by_what_they_do() -> None:
    statements = [
        "BEGIN IMMEDIATE",
        "INSERT OR IGNORE INTO modd_queues VALUES (?, ?)",
        "UPDATE modd_items SET state = 3",
    ]
    assert [step_of(sql) for sql in statements] == ["BEGIN", "INSERT INTO modd_queues", "UPDATE modd_items"]


async def failing(outside: Any, **given: Any) -> None:
    """A process that fails."""
    outside.tell(given=given)
    raise SystemExit(3)


@pytest.mark.costly
def test_what_a_process_told_and_how_it_ended_is_known() -> None:
    with zygote() as processes:
        [end] = processes.run(Job(f"{__name__}:failing", {"a": 1}, "trio"))
    assert (end.told, end.code, end.late, end.killed) == ([{"given": {"a": 1}}], 3, None, False)
