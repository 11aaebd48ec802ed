"""A process that works is killed at every step of its store: nothing accepted is lost, and nothing is done twice."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count, product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.proofs.accounts import problems_of
from tests.proofs.orders import is_poison
from tests.proofs.processes import Job, Outcome, Zygote, zygote
from tests.proofs.sizes import size_of
from tests.proofs.workshop import APART

pytestmark = pytest.mark.slow

WORK = "tests.proofs.workshop:work"
ORDERS = 7
KILLS, MOMENTS, ASKED = size_of("KILLS", 8), size_of("MOMENTS", 8), size_of("ASKED", 4)
TABLES = ("INSERT INTO modd_items", "UPDATE modd_items", "DELETE FROM modd_items", "INSERT INTO modd_outbox")
STEPS = (*TABLES, "UPDATE modd_outbox", "DELETE FROM modd_outbox", "INSERT INTO modd_inbox", "INSERT INTO effects")
SIDES = ("before", "after")
"""Of a statement: on each of them is a point."""
LEASE = 0.2


class Setting(msgspec.Struct, frozen=True):
    """Under which conditions a process is killed.

    locks: files can be locked; if not, the file is in TRUNCATE mode. accepts: the process that is killed is also the
    one that accepts orders, into a file that is not there yet. survivor: another process works beside it. careless:
    some of what it does is not in the transaction.
    """

    backend: str
    locks: bool = True
    accepts: bool = False
    survivor: bool = False
    careless: bool = False
    asks: bool = False

    def jobs(self, path: Path, kill_at: int | str, signals: Sequence[tuple[float, int]] = ()) -> Iterator[Job]:
        """What runs at once: what is killed, and then who survives that."""
        given = {"path": str(path), "lease": LEASE if self.survivor else 30.0, "careless": self.careless}
        given |= {"asks": self.asks, "locks": self.locks}
        orders = ORDERS if self.accepts else 0
        yield Job(WORK, {**given, "kill_at": kill_at, "orders": orders}, self.backend, [*signals])
        if self.survivor:
            yield Job(WORK, given, self.backend)


SETTINGS = [Setting(*each) for each in product(("asyncio", "trio"), (False, True), (False, True))]
BESIDE = [Setting(backend, survivor=True) for backend in ("asyncio", "trio")]


class Trials:
    """Kills processes, and looks at what is left when another has gone on."""

    def __init__(self, folder: Path, zygote: Zygote) -> None:
        self._folder, self._zygote, self._numbers = folder, zygote, count()
        self._accepted = folder / "accepted.db"
        self.steps = Counter[str]()
        self.modes = Counter[str]()
        self.problems: list[str] = []
        zygote.run(Job("tests.proofs.workshop:put", {"path": str(self._accepted), "orders": ORDERS}))

    def try_points(self, setting: Setting, kills: int) -> None:
        """Kill at so many points, evenly spread over those that there are."""
        [before] = self.run(setting, 0)[0].named("points")
        wanted, tries = sum(self.steps.values()) + kills, 0
        while sum(self.steps.values()) < wanted:
            assert tries < 20 * kills + 100, "too few points are reached"
            self.run(setting, 1 + int((tries + 0.5) * before / kills) % before)
            tries += 1

    def try_moments(self, setting: Setting, kills: int, chance: random.Random) -> None:
        """Kill at moments of which nobody knows what is done at them."""
        wanted, tries = sum(self.steps.values()) + kills, 0
        while sum(self.steps.values()) < wanted:
            assert tries < 20 * kills + 100, "too many processes end before their moment"
            self.run(setting, 0, [(chance.uniform(0.0, 0.2), 9)])
            tries += 1

    def run(self, setting: Setting, kill_at: int | str, signals: Sequence[tuple[float, int]] = ()) -> list[Outcome]:
        """One trial: kill at this point, 0 for none, go on, look, and return what became of those that ran at first."""
        path = self._folder / f"{next(self._numbers)}.db"
        if not setting.accepts:
            shutil.copy(self._accepted, path)
        outcomes = self._zygote.run(*setting.jobs(path, kill_at, signals))
        given = {"path": str(path), "asked": ORDERS if setting.asks else 0, "locks": setting.locks}
        [end] = self._zygote.run(Job("tests.proofs.workshop:recover", given, setting.backend))
        step = next(iter(outcomes[0].named("killed")), "any moment")
        self.steps[step] += outcomes[0].killed
        self._judge(f"{setting} killed at {kill_at}, {step}", setting, outcomes, end)
        for file in self._folder.glob(f"{path.name}*"):
            file.unlink()
        return outcomes

    def _judge(self, trial: str, setting: Setting, outcomes: Sequence[Outcome], end: Outcome) -> None:
        codes = [each.code for each in outcomes]
        if (codes[0], *codes[1:], end.code) not in {(code, *[0] * len(codes)) for code in (0, -9)}:
            self.problems.append(f"{trial}: ended with {codes} and {end.code}")
        else:
            accepted = outcomes[0].named("accepted") if setting.accepts else range(ORDERS)
            if setting.asks:  # all are asked for again, and one that fails becomes no dead letter
                accepted = [number for number in range(ORDERS) if not is_poison(number)]
            [told] = [each for each in end.told if "effects" in each]
            self.problems += [f"{trial}: {each}" for each in problems_of(accepted, 0 if setting.asks else ORDERS, told)]
            self.modes.update([*outcomes[-1].named("mode"), *end.named("mode")][:1])


def run_halves(folder: Path, work: Callable[[Trials, int], Any]) -> tuple[Counter[str], Counter[str], list[str]]:
    """Have two do it side by side, each told its number; returns the steps, the modes and the problems of both."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        halves = [Trials(_make_folder(folder / str(half)), stack.enter_context(zygote())) for half in range(2)]
        list(pool.map(work, halves, range(2)))
    first, second = halves
    return first.steps + second.steps, first.modes + second.modes, first.problems + second.problems


def _make_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_worker_killed_at_any_step_of_its_store_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    # ST-61
    each = -(-KILLS // len(SETTINGS))

    def work(trials: Trials, half: int) -> None:
        for setting in SETTINGS[half::2]:
            trials.try_points(setting, each)
            trials.run(setting, f"{SIDES[half]} CLOSE")
        for step in ("BEGIN", "COMMIT", *STEPS):
            trials.run(SETTINGS[half], f"{SIDES[half]} {step}")

    steps, modes, problems = run_halves(tmp_path, work)
    print(f"kill points: {sum(steps.values())} at {len(steps)} kinds of steps, {dict(modes)}, {len(problems)} problems")
    assert problems == []
    assert sum(steps.values()) >= KILLS
    wanted = {f"{moment} {step}" for moment in SIDES for step in ("BEGIN", "COMMIT", "CLOSE", *STEPS)}
    assert wanted - steps.keys() == set()


def test_the_same_finds_that_what_is_not_in_the_transaction_is_doubled(tmp_path: Path) -> None:
    careless = [Setting(backend, careless=True) for backend in ("asyncio", "trio")]

    def work(trials: Trials, half: int) -> None:
        [points] = trials.run(careless[half], 0)[0].named("points")
        for part in (60, 80, 70, 90, 65, 85, 75, 95, 55):
            if not trials.problems:
                trials.run(careless[half], points * part // 100)
        if not trials.problems:
            trials.run(careless[half], f"after {APART}")

    steps, _, problems = run_halves(tmp_path, work)
    print(f"the control: {len(problems)} problems after {sum(steps.values())} kill points")
    assert [each for each in problems if "counted more than once" in each]


ASKING = [Setting(*each, accepts=True, asks=True) for each in product(("asyncio", "trio"), (False, True))]


def test_what_is_asked_for_again_outside_of_a_worker_is_done_and_told_once_at_any_step(tmp_path: Path) -> None:
    # DF-16
    each = -(-ASKED // len(ASKING))

    def work(trials: Trials, half: int) -> None:
        for setting in ASKING[half::2]:
            trials.try_points(setting, each)

    steps, modes, problems = run_halves(tmp_path, work)
    print(f"kill points outside of a worker: {sum(steps.values())}, {dict(modes)}, {len(problems)} problems")
    assert problems == []
    assert sum(steps.values()) >= ASKED


@pytest.mark.parametrize("careless", [False, True])
def test_the_same_finds_that_events_are_lost_if_they_are_queued_after_the_commit(
    tmp_path: Path, careless: bool
) -> None:
    asking = [Setting(backend, accepts=True, asks=True, careless=careless) for backend in ("asyncio", "trio")]

    def work(trials: Trials, half: int) -> None:
        trials.run(asking[half], "before INSERT INTO modd_items")  # after the commit of the first order

    steps, _, problems = run_halves(tmp_path, work)
    assert sum(steps.values()) == 2
    assert sum("the effects are not of the same orders" in each for each in problems) == (2 if careless else 0)


def test_another_process_goes_on_when_the_one_beside_it_is_killed_at_any_step(tmp_path: Path) -> None:
    # ST-61
    kills = -(-KILLS // 10)
    steps, modes, problems = run_halves(tmp_path, lambda trials, half: trials.try_points(BESIDE[half], -(-kills // 2)))
    print(f"kill points beside another process: {sum(steps.values())}, {dict(modes)}, {len(problems)} problems")
    assert problems == []
    assert sum(steps.values()) >= kills


@pytest.mark.parametrize("accepts", [False, True], ids=["works", "accepts"])
def test_a_process_killed_at_a_random_moment_loses_nothing_and_doubles_nothing(tmp_path: Path, accepts: bool) -> None:
    # ST-61
    settings = [Setting(backend, locks, accepts=accepts) for backend in ("asyncio", "trio") for locks in (False, True)]

    def work(trials: Trials, half: int) -> None:
        for setting in settings[half::2]:
            trials.try_moments(setting, -(-MOMENTS // 8), random.Random(half))

    steps, modes, problems = run_halves(tmp_path, work)
    print(f"killed at random moments: {sum(steps.values())}, {dict(modes)}, {len(problems)} problems")
    assert problems == []
