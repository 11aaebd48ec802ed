"""Worker processes that are killed by a message, or stopped for longer than a lease."""

from __future__ import annotations

import signal
from pathlib import Path
from time import sleep
from typing import Any

import anyio
import pytest

from modd.ports import DeadLetter
from modd.stores import SqliteStore
from tests.worker.desk import Pay, Ship, item
from tests.worker.program import LEASE, PATIENCE, start

pytestmark = pytest.mark.slow

NAMES = ["ada", "bob", "eve", "kay"]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_message_that_kills_its_process_costs_no_other_message_an_attempt(tmp_path: Path, backend: str) -> None:
    # DR-41
    path, shipped, ends = tmp_path / "a.db", list[str](), list[int]()
    anyio.run(put, path, [Pay(), *map(Ship, NAMES)], backend=backend)
    while not ends or ends[-1]:
        process = start("crash", path, backend)
        output, _ = process.communicate(timeout=PATIENCE)
        shipped += output.split()
        ends.append(process.returncode)
        assert len(ends) < 10
    assert sorted(shipped) == NAMES
    assert ends == [9, 9, 0]
    [dead] = anyio.run(dead_of, path, backend=backend)
    assert b"Pay" in dead.body
    assert dead.reason == "it was claimed 2 times and never settled"


def test_a_process_that_was_stopped_for_longer_than_a_lease_goes_on_with_what_it_has(
    tmp_path: Path, backend: str
) -> None:
    # DR-43
    path = tmp_path / "a.db"
    anyio.run(put, path, [*map(Ship, NAMES[:3])], backend=backend)
    process = start("pause", path, backend)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGSTOP)
    sleep(1.5 * LEASE)  # the leases end
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert (sorted(output.split()), process.returncode) == (NAMES[:3], 0)


async def put(path: Path, messages: list[Any]) -> None:
    async with SqliteStore(path) as store:
        await store.queue("q").put(*[item(message) for message in messages])


async def dead_of(path: Path) -> list[DeadLetter]:
    async with SqliteStore(path) as store:
        return await store.queue("q").dead()
