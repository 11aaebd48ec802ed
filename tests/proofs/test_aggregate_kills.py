"""A process with aggregates is killed at every step of its store: no command is lost, and none takes effect twice."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.proofs.ledger import problems_of
from tests.proofs.processes import Job, Zygote, zygote
from tests.proofs.sizes import size_of

pytestmark = pytest.mark.slow

KILLS = size_of("AGGREGATES", 8)
WHOLE = 200
"""Kills from which on every side of every step is among them."""
STEPS = ("BEGIN", "COMMIT", "INSERT INTO modd_events", "INSERT INTO modd_inbox", "INSERT INTO modd_snapshots")
"""Statements on both sides of which a process is killed at least once in the whole proof."""
SIDES = [f"{side} {step}" for side in ("before", "after") for step in STEPS]


class Trials:
    """Kills processes that give commands to aggregates, and looks at what is left when another has gone on."""

    def __init__(self, folder: Path, backend: str, zygote: Zygote) -> None:
        self._folder, self._backend, self._zygote, self._numbers = folder, backend, zygote, count()
        self.steps = Counter[str]()
        self.problems: list[str] = []

    def try_points(self, kills: int) -> None:
        """Kill at so many points, evenly spread over those that there are."""
        points = self.run(0)
        for number in range(kills):
            self.run(1 + int((number + 0.5) * points / kills))

    def try_steps(self) -> None:
        """Kill on both sides of each kind of step."""
        for step in SIDES:
            self.run(step)

    def run(self, kill_at: int | str) -> int:
        """Kill at a point, 0 for none, go on, and look; return the number of points if it was not killed."""
        path = str(self._folder / f"{self._backend}-{next(self._numbers)}.db")
        [first] = self._zygote.run(Job("tests.proofs.ledger:work", {"path": path, "kill_at": kill_at}, self._backend))
        [second] = self._zygote.run(Job("tests.proofs.ledger:recover", {"path": path}, self._backend))
        step = next(iter(first.named("killed")), "")
        self.steps[step] += first.killed
        if (first.code, second.code) not in {(0, 0), (-9, 0)}:
            self.problems.append(f"killed at {kill_at}, {step}: ended with {first.code} and {second.code}")
        else:
            [before], [end] = second.named("before"), [each for each in second.told if "events" in each]
            found = problems_of(first.named("done"), before, end)
            self.problems += [f"killed at {kill_at}, {step}: {each}" for each in found]
        return next(iter(first.named("points")), 0)


def test_a_process_with_aggregates_killed_at_any_step_loses_no_command_and_doubles_none(tmp_path: Path) -> None:
    # WM-33
    def work(trials: Trials) -> None:
        trials.try_points(-(-KILLS // 2))
        if KILLS >= WHOLE:
            trials.try_steps()

    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        halves = [Trials(tmp_path, backend, stack.enter_context(zygote())) for backend in ("asyncio", "trio")]
        list(pool.map(work, halves))
    steps, problems = halves[0].steps + halves[1].steps, halves[0].problems + halves[1].problems
    print(f"kill points of aggregates: {sum(steps.values())} at {len(steps)} kinds of steps, {len(problems)} problems")
    assert problems == []
    assert sum(steps.values()) == 2 * (-(-KILLS // 2) + (len(SIDES) if KILLS >= WHOLE else 0))
    assert KILLS < WHOLE or set(SIDES) <= steps.keys()
