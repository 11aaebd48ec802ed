"""A process with a flow and projections is killed at any step and any moment: each order has one end, all adds up."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import msgspec
import pytest

from tests.proofs.fulfilment import Account
from tests.proofs.processes import Job, Zygote, zygote
from tests.proofs.sizes import size_of

pytestmark = pytest.mark.slow

KILLS, MOMENTS = size_of("FLOW_KILLS", 6), size_of("FLOW_MOMENTS", 2)
WHOLE = 100
"""Kills from which on the proof is the whole one."""


ORDERS = 6
WANTED = [f"o{number}" for number in range(ORDERS)]
STEPS = ("BEGIN", "COMMIT", *(f"INSERT INTO modd_{name}" for name in ("events", "documents", "items", "inbox")))
STEPS += (
    "DELETE FROM modd_documents",
    "DELETE FROM modd_items",
    "INSERT INTO",
    "CREATE",
    "DROP",
)  # the table of a projection has no plain name
"""Statements on both sides of which a process is killed at least once in the whole proof."""


LONGEST = 0.3
"""Seconds of the latest random moment; later ones find the work done."""


class Trials:
    """Kills processes that follow a log, and looks at what is left when another has gone on."""

    def __init__(self, folder: Path, backend: str, zygote: Zygote) -> None:
        self._folder, self._backend, self._zygote, self._numbers = folder, backend, zygote, count()
        self.steps = Counter[str]()
        self.problems: list[str] = []

    def try_points(self, kills: int) -> None:
        """Kill at so many points, evenly spread over those that there are."""
        points = self.run(0)
        for number in range(kills):
            self.run(1 + int((number + 0.5) * points / kills))

    def try_moments(self, kills: int) -> None:
        """Kill at moments of which nobody knows what is done at them."""
        chance = random.Random(self._backend)
        for _ in range(kills):
            self.run(0, [(chance.uniform(0.0, LONGEST), 9)])

    def try_steps(self) -> None:
        """Kill on both sides of each kind of step."""
        for side in ("before", "after"):
            for step in STEPS:
                self.run(f"{side} {step}")

    def run(self, kill_at: int | str, signals: Sequence[tuple[float, int]] = ()) -> int:
        """Kill at a point, 0 for none, go on, and look; return the number of points if it was not killed."""
        path = self._folder / f"{self._backend}-{next(self._numbers)}.db"
        given = {"path": str(path), "orders": ORDERS}
        job = Job("tests.proofs.fulfilment:work", {**given, "kill_at": kill_at}, self._backend, [*signals])
        [first] = self._zygote.run(job)
        [second] = self._zygote.run(Job("tests.proofs.fulfilment:recover", given, self._backend))
        step = next(iter(first.named("killed")), "any moment")
        self.steps[step] += first.killed
        if (first.code, second.code) not in {(0, 0), (-9, 0)}:
            self.problems.append(f"killed at {kill_at}, {step}: ended with {first.code} and {second.code}")
        else:
            account = msgspec.convert(second.named("end")[0], Account)
            self.problems += [f"killed at {kill_at}, {step}: {each}" for each in account.problems(WANTED)]
        for file in self._folder.glob(f"{path.name}*"):
            file.unlink()
        return next(iter(first.named("points")), 0)


def run_halves(folder: Path, work: Callable[[Trials], None]) -> tuple[Counter[str], list[str]]:
    """Have a process for each loop do it; return the steps and the problems of both."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        halves = [Trials(folder, backend, stack.enter_context(zygote())) for backend in ("asyncio", "trio")]
        list(pool.map(work, halves))
    return halves[0].steps + halves[1].steps, halves[0].problems + halves[1].problems


def test_a_process_with_a_flow_killed_at_any_step_gives_each_order_one_end(tmp_path: Path) -> None:
    # WM-53, WM-60, WM-62, WM-77
    def work(trials: Trials) -> None:
        trials.try_points(-(-KILLS // 2))
        if KILLS >= WHOLE:
            trials.try_steps()

    steps, problems = run_halves(tmp_path, work)
    print(f"kill points of flows: {sum(steps.values())} at {len(steps)} kinds of steps, {len(problems)} problems")
    assert problems == []
    assert KILLS < WHOLE or {f"{side} {step}" for side in ("before", "after") for step in STEPS} <= steps.keys()


def test_a_process_with_a_flow_killed_at_any_moment_gives_each_order_one_end(tmp_path: Path) -> None:
    # WM-53, WM-55, WM-60, WM-77
    steps, problems = run_halves(tmp_path, lambda trials: trials.try_moments(-(-MOMENTS // 2)))
    print(f"random kills of flows: {sum(steps.values())}, {len(problems)} problems")
    assert problems == []
