"""A process with workers is told to end at random moments: it waits for no handler longer than its drain.

It leaves no thread, and nothing is lost. Some handlers take an hour: a process that waits for them is taken to hang.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from tests.proofs.accounts import problems_of
from tests.proofs.processes import Job, Outcome, Zygote, zygote
from tests.proofs.sizes import size_of

pytestmark = pytest.mark.slow

SIGTERMS = size_of("SIGTERMS", 8)
ORDERS = 7
"""New ones for each start."""
DRAIN, SHORT, HOUR = 0.4, 0.2, 3600.0
"""Seconds: some handlers end while they are waited for, some do not."""
BACKENDS = ("asyncio", "trio")


class Service:
    """A process that is started again and again on one file."""

    def __init__(self, path: Path, backend: str, processes: Zygote) -> None:
        self.backend, self._path, self._processes = backend, str(path), processes
        self.ends: list[Outcome] = []

    def run(self, *signals: tuple[float, int], pauses: list[float], drain: float, busy: bool) -> Outcome:
        """Start it, and send it these signals."""
        first = ORDERS * len(self.ends)
        numbers = [*range(first, first + ORDERS)]
        given = {"path": self._path, "numbers": numbers, "pauses": pauses, "drain": drain, "busy": busy}
        [end] = self._processes.run(Job("tests.proofs.signalled:run", given, self.backend, [*signals]))
        self.ends.append(end)
        return end

    def problems(self) -> list[str]:
        """What is wrong when everything is done."""
        accepted = [number for end in self.ends for numbers in end.named("accepted") for number in numbers]
        [end] = self._processes.run(Job("tests.proofs.workshop:recover", {"path": self._path}, self.backend))
        return problems_of(accepted, ORDERS * len(self.ends), end.told[0])


def signalled(folder: Path, work: Callable[[Service], None]) -> list[Service]:
    """A service on each loop, at work side by side."""
    with zygote() as one, zygote() as other, ThreadPoolExecutor(2) as pool:
        services = [
            Service(folder / backend, backend, each) for backend, each in zip(BACKENDS, (one, other), strict=True)
        ]
        list(pool.map(work, services))
        assert [service.problems() for service in services] == [[], []]
    return services


def test_a_process_that_gets_sigterm_waits_no_longer_than_its_drain_and_leaves_nothing_undone(tmp_path: Path) -> None:
    # ST-64
    def work(service: Service) -> None:
        chance = random.Random(service.backend)
        for _ in range(-(-SIGTERMS // 2)):
            moment = chance.uniform(0.0, 0.8)
            service.run((moment, SIGTERM), pauses=[SHORT, 0.0, HOUR], drain=DRAIN, busy=False)

    ends = [end for service in signalled(tmp_path, work) for end in service.ends]
    late = [end.late or 0.0 for end in ends]
    print(f"{len(ends)} SIGTERMs, drain {DRAIN} s: the last exit {max(late):.3f} s after its signal")
    assert {end.code for end in ends} == {0}
    assert [threads for end in ends for threads in end.named("threads")] == [[]] * len(ends)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    def work(service: Service) -> None:
        service.run((0.0, SIGTERM), (0.2, SIGINT), pauses=[HOUR], drain=HOUR, busy=True)

    ends = [end for service in signalled(tmp_path, work) for end in service.ends]
    assert [end.code for end in ends] == [0, 0]
