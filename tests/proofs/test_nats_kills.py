"""NATS servers are killed at random moments while processes put and work: nothing is lost, and nothing comes again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.nats.server import NatsCluster, NatsServer
from tests.proofs.nats_jobs import LEASE, Folder
from tests.proofs.nats_ledger import Had, Put, find_problems
from tests.proofs.nats_servers import kill_at_any_moment, kill_leaders, pause_leaders, wait_until
from tests.proofs.processes import Job, Outcome, Zygote, zygote
from tests.proofs.sizes import size_of

pytestmark = pytest.mark.slow

KILLS, LEADERS = size_of("NATS_KILLS", 10), size_of("NATS_LEADERS", 2)
A_ROUND, LEADERS_OF_A_ROUND = 10, 4
"""Kills while the same processes run; an election takes seconds."""

CALL_SECONDS = 5.0
"""The timeout of the patient processes on a cluster."""


class Round:
    """Two processes that put and two that work, on both loops, with a patient and an impatient one of each.

    folder: a new folder. urls: the addresses of the servers. name: that of the store. timeout: seconds of the patient.
    """

    def __init__(self, folder: Path, urls: list[str], name: str, timeout: float) -> None:
        folder.mkdir(parents=True)
        self._folder, self._timeout = Folder(str(folder)), timeout
        self._given = {"urls": urls, "name": name, "folder": str(folder)}

    def jobs(self) -> list[Job]:
        """Return what the processes are to do."""
        patient, impatient = {**self._given, "timeout": self._timeout}, {**self._given, "timeout": 0.1}
        return [
            Job("tests.proofs.nats_jobs:put", {**patient, "first": 0}, "asyncio"),
            Job("tests.proofs.nats_jobs:put", {**impatient, "first": 2}, "trio"),
            Job("tests.proofs.nats_jobs:work", {**patient, "number": 0}, "trio"),
            Job("tests.proofs.nats_jobs:work", {**impatient, "number": 1}, "asyncio"),
        ]

    def run(self, processes: Zygote, disturb: Callable[[], None]) -> list[str]:
        """Have the processes run until a function has disturbed them; return the problems."""
        jobs = self.jobs()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(processes.run, *jobs)
            try:
                wait_until(lambda: self._folder.count("ready") == len(jobs) or running.done())
                disturb()
            finally:
                self._folder.note("over")
            return account(running.result())


def account(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what is wrong with what processes told."""
    if any(each.code for each in outcomes):
        return [f"the processes ended with {[each.code for each in outcomes]}"]
    told = {name: [one for each in outcomes for one in each.named(name)] for name in ("puts", "had", "busy", "longest")}
    puts = msgspec.convert([put for each in told["puts"] for put in each], list[Put])
    had = msgspec.convert([claim for each in told["had"] for claim in each], list[Had])
    print(f"{dict(Counter(each.outcome for each in puts))}, {dict(Counter(each.outcome for each in had))}, "
          f"{sum(told['busy'])} busy, the longest calls {[round(each, 2) for each in told['longest']]}")  # fmt: skip
    problems = find_problems(puts, had, LEASE)
    print("\n".join(problems[:20]))
    return problems


def rounds(kills: int, most: int) -> list[int]:
    """Return the number of kills of each round. most: most of one."""
    return [min(most, kills - before) for before in range(0, kills, most)]


@pytest.mark.parametrize("sync", ["", "always"])
def test_a_server_killed_at_any_moment_loses_nothing_and_gives_nothing_again(tmp_path: Path, sync: str) -> None:
    # NA-12
    chance, problems = random.Random(), list[str]()
    with zygote() as processes, NatsServer(tmp_path / "server", sync=sync) as server:
        for number, kills in enumerate(rounds(-(-KILLS // 2), A_ROUND)):
            a_round = Round(tmp_path / f"round-{number}", [server.url], f"kills-{number}", 60.0)
            problems += a_round.run(processes, partial(kill_at_any_moment, server, chance, kills))
    assert problems == []


@pytest.mark.parametrize("replace_leaders", [kill_leaders, pause_leaders])
def test_leaders_of_a_cluster_replaced_at_any_moment_lose_nothing_and_give_nothing_again(
    tmp_path: Path, replace_leaders: Callable[[NatsCluster, str, random.Random, int], None]
) -> None:
    # NA-14
    chance, problems = random.Random(), list[str]()
    with zygote() as processes, NatsCluster(tmp_path / "cluster") as cluster:
        for number, kills in enumerate(rounds(LEADERS, LEADERS_OF_A_ROUND)):
            name = f"leaders-{number}"
            a_round = Round(tmp_path / f"round-{number}", cluster.urls, name, CALL_SECONDS)
            problems += a_round.run(processes, partial(replace_leaders, cluster, name, chance, kills))
    assert problems == []


FINE = [
    Had("0-1", "k", 1.0, 1.1, 1.2, 1.3, "released"),
    Had("0-1", "k", 1.2, 1.25, 1.4, 1.5, "acked"),
    Had("0-2", "k", 1.4, 1.5, 1.6, 9.0, "lease lost"),
    Had("0-2", "k", 4.0, 4.5, 4.6, 4.7, "acked"),
    Had("0-3", None, 1.0, 1.1, 1.2, 1.3, "acked"),
]


@pytest.mark.parametrize(
    ("claim", "problems"),
    [
        (Had("0-3", None, 2.0, 2.1, 2.2, 2.3, "lease lost"), 2),
        (Had("0-3", None, 1.1, 1.15, 1.2, 1.3, "acked"), 2),
        (Had("0-3", None, 1.1, 1.15, 1.2, 1.3, "unknown"), 1),
        (Had("0-4", "k", 1.3, 1.35, 1.4, 1.5, "acked"), 2),
        (Had("0-1", "k", 5.0, 5.1, 5.2, 5.3, "unknown"), 2),
    ],
)
def test_the_proof_finds_what_comes_twice_and_out_of_order(claim: Had, problems: int) -> None:
    assert find_problems([], FINE, LEASE) == []
    assert len(find_problems([], [*FINE, claim], LEASE)) == problems


def test_the_proof_finds_what_is_lost_and_what_is_torn() -> None:
    fine = [Put(["0-1", "0-2"], "stored"), Put(["0-3"], "unknown"), Put(["0-4"], "unknown"), Put(["0-5"], "not stored")]
    torn = [Put(["0-1", "0-9"], "unknown"), Put(["0-9"], "stored"), Put(["0-1"], "not stored")]
    assert find_problems(fine, FINE, LEASE) == []
    assert len(find_problems(torn, FINE, LEASE)) == len(torn)
