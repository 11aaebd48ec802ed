"""A process with workers is told to end at random moments: it ends in time, leaves nothing, and nothing is lost."""

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
DRAIN, SLOW = 0.4, 0.6
"""Seconds: some handlers take longer than they are waited for."""
GRACE = 1.0
"""Seconds for all that comes after the drain."""
BACKENDS = ("asyncio", "trio")


class Service:
    """A process that is started again and again on one file."""

    def __init__(self, path: Path, backend: str, processes: Zygote) -> None:
        self.backend, self._path, self._processes = backend, str(path), processes
        self.ends: list[Outcome] = []

    def run(self, *signals: tuple[float, int], slow: float, drain: float) -> Outcome:
        """Start it, and send it these signals."""
        first = ORDERS * len(self.ends)
        given = {"path": self._path, "numbers": [*range(first, first + ORDERS)], "slow": slow, "drain": drain}
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


def test_a_process_ends_within_its_drain_and_a_second_after_sigterm_and_leaves_nothing_undone(tmp_path: Path) -> None:
    # ST-64
    def work(service: Service) -> None:
        chance = random.Random(service.backend)
        for _ in range(-(-SIGTERMS // 2)):
            service.run((chance.uniform(0.0, 0.8), SIGTERM), slow=SLOW, drain=DRAIN)

    ends = [end for service in signalled(tmp_path, work) for end in service.ends]
    late = [end.late or 0.0 for end in ends]
    print(f"{len(ends)} SIGTERMs, drain {DRAIN} s: the last exit {max(late):.3f} s after its signal")
    assert {end.code for end in ends} == {0}
    assert all(0.0 < each < DRAIN + GRACE for each in late)
    assert [threads for end in ends for threads in end.named("threads")] == [[]] * len(ends)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    def work(service: Service) -> None:
        service.run((0.2, SIGTERM), (0.4, SIGINT), slow=3600.0, drain=3600.0)

    ends = [end for service in signalled(tmp_path, work) for end in service.ends]
    assert [end.code for end in ends] == [0, 0]
    assert all(0.2 <= (end.late or 0.0) < 0.2 + GRACE for end in ends)
