"""Workers on PostgreSQL, and the server, are killed: what handlers write there is there exactly once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from tests.postgres.server import PostgresServer
from tests.proofs.postgres_shop import TABLE
from tests.proofs.processes import Job, Zygote, zygote
from tests.proofs.server_shop import problems_of
from tests.proofs.sizes import size_of

pytestmark = pytest.mark.slow

KILLS, SERVER_KILLS = size_of("POSTGRES_WORKERS", 4), size_of("POSTGRES_SERVERS", 2)
ORDERS = 12
"""Orders for each two processes that are killed, or each kill of the server."""

LATEST = 1.0
"""Seconds."""

A_ROUND = 5
"""Kills of the server while the same processes work: each has a process more, and a server has 100 connections."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 1.8
REST = 5.0
"""Seconds between two kills of the server, and for which the workers go on after the last one."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that waits for its disk, with a table of the application."""
    with PostgresServer(tmp_path / "postgres") as server:
        server.execute(TABLE)
        yield server


@pytest.mark.parametrize("inbox", [False, True])
def test_what_a_killed_worker_writes_is_there_once(server: PostgresServer, inbox: bool) -> None:
    # PG-15
    chance, trials, killed = random.Random(), -(-KILLS // 4), 0
    with zygote() as processes:
        for trial in range(trials):
            jobs = [
                Job("tests.proofs.postgres_shop:work", {"url": server.url, "inbox": inbox}, loop, [(moment, 9)])
                for loop, moment in ((each, chance.uniform(0, LATEST)) for each in ("asyncio", "trio"))
            ]
            outcomes = processes.run(put_orders(server, trial), *jobs)
            assert [each.code for each in outcomes] == [0, -9, -9]
            killed += 2
        end = finish(processes, server, inbox, trials)
    print(f"{killed} workers killed, {len(end['effects'])} effects, inbox {inbox}")
    assert problems_of(end) == []


def kill_connections(server: PostgresServer) -> None:
    """Kill the processes of the connections: the server recovers by itself."""
    server.kill_children()


@pytest.mark.parametrize("kill", [kill_connections, PostgresServer.restart])
def test_what_workers_write_is_there_once_when_the_server_is_killed(
    server: PostgresServer, kill: Callable[[PostgresServer], None]
) -> None:
    # PG-15
    trials = -(-SERVER_KILLS // 2)
    with zygote() as processes:
        for first in range(0, trials, A_ROUND):
            run_round(processes, server, kill, range(first, min(first + A_ROUND, trials)))
        end = finish(processes, server, True, trials)
    print(f"the server was killed {trials} times by {kill.__name__}, {len(end['effects'])} effects")
    assert problems_of(end) == []


def run_round(
    processes: Zygote, server: PostgresServer, kill: Callable[[PostgresServer], None], trials: Sequence[int]
) -> None:
    """Have two processes work while the orders of some trials are placed, and the server is killed once for each."""
    seconds = LONGEST_PAUSE * len(trials) + REST
    jobs = [
        Job("tests.proofs.postgres_shop:work", {"url": server.url, "inbox": True}, loop, [(seconds, 9)])
        for loop in ("asyncio", "trio")
    ]
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(processes.run, *(put_orders(server, trial) for trial in trials), *jobs)
        for _ in trials:
            sleep(random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))
            kill(server)
        assert [each.code for each in running.result()] == [0] * len(trials) + [-9, -9]


def put_orders(server: PostgresServer, trial: int) -> Job:
    """Return the process that places the orders of a trial."""
    orders = [*range(trial * ORDERS, (trial + 1) * ORDERS)]
    return Job("tests.proofs.postgres_shop:put", {"url": server.url, "orders": orders})


def finish(processes: Zygote, server: PostgresServer, inbox: bool, trials: int) -> dict[str, Any]:
    """Do the rest, and return what there is in the end."""
    given = {"url": server.url, "inbox": inbox, "orders": trials * ORDERS}
    [end] = processes.run(Job("tests.proofs.postgres_shop:finish", given))
    assert end.code == 0
    return {name: end.named(name)[0] for name in ("left", "found", "effects")}
