"""Processes of ``python -m modd run`` get SIGTERM at random moments: each ends in time, and nothing is lost.

Two processes, on asyncio and trio, are at work on a file while orders come from outside. Some handlers take an hour: a
process that waits for them is taken to hang.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from modd.stores import SqliteStore
from tests.proofs.accounts import problems_of
from tests.proofs.processes import ROOT
from tests.proofs.signalled_app import recover
from tests.proofs.sizes import size_of
from tests.proofs.workshop import accept, opened

pytestmark = pytest.mark.slow

SIGTERMS = size_of("APPS", 4)
FILES = 2
BACKENDS = ("asyncio", "trio")
DRAIN = 0.4
BEGINNINGS = ("starting", "ready in")
"""Words in the log of a process that moments are counted from. At the first one it hears signals: before that, SIGTERM
ends it with the code -15."""
LATEST = 0.7
"""Seconds."""
PACE = 0.03
"""Seconds between two orders."""
LIMIT = 120.0
"""Seconds; a guard against a process that hangs."""


class AppLog:
    """The log of a process, as far as it was read."""

    def __init__(self) -> None:
        self.text = ""
        self._changed = anyio.Event()

    async def read(self, process: Process) -> None:
        """Read the log until the process has ended."""
        assert process.stderr is not None
        async for text in TextReceiveStream(process.stderr):
            self.text += text
            self._notify()
        self.text += "\nend of the log"
        self._notify()

    async def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match; the process must not end before."""
        while (match := re.search(pattern, self.text)) is None:
            assert not self.text.endswith("end of the log"), self.text
            await self._changed.wait()
        return match

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class AppEnd:
    """The end of a process after SIGTERM.

    log: its log. code: its exit code. late: seconds from the signal to the end. ready: the code of ``/ready`` while the
    process drained, None if it had ended.
    """

    def __init__(self, log: AppLog, code: int, late: float, ready: int | None) -> None:
        self.log, self.code, self.late, self.ready = log, code, late, ready

    @property
    def was_ready(self) -> bool:
        """True if the signal came when the app was ready."""
        return "ready in" in self.log.text


class OrderDesk:
    """Accepts orders from outside, while processes work on the file."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.accepted: list[int] = []
        self.offered = 0

    async def work(self) -> None:
        """Accept orders, one by one, until it is cancelled."""
        while True:
            self.offered += 1
            with anyio.CancelScope(shield=True):  # else an order may be accepted that is not told
                self.accepted += await accept(self._store, [self.offered - 1])
            await anyio.sleep(PACE)


async def run_and_end(path: str, first: int, backend: str, chance: random.Random, ends: list[AppEnd]) -> None:
    """Start a process, send SIGTERM at a moment, and note how the process ends."""
    beginning, moment = chance.choice(BEGINNINGS), chance.uniform(0.0, LATEST)
    environ = {**os.environ, "PROOF_DB": path, "PROOF_FIRST": str(first), "PROOF_DRAIN": str(DRAIN), "MODD_LOG": "text"}
    command = [sys.executable, "-W", "error", "-m", "modd", "run", "tests.proofs.signalled_app:shop", "--loop", backend]
    log = AppLog()
    devnull = subprocess.DEVNULL
    async with (
        await anyio.open_process(command, cwd=ROOT, env=environ, stdin=devnull, stdout=devnull) as process,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(log.read, process)
        await log.wait_for(f"shop: {beginning}")
        await anyio.sleep(moment)
        process.terminate()
        signalled = monotonic()
        await log.wait_for(r"shop: stopping \((SIGTERM|stop\(\))\)")
        port = re.search(r"health at \S+, port (\d+)", log.text)
        ready = None if port is None else await ready_code(int(port[1]))
        code = await process.wait()
        ends.append(AppEnd(log, code, monotonic() - signalled, ready))


async def ready_code(port: int) -> int | None:
    """Return the status code of ``/ready``; None if no one answers any more."""
    answer = b""
    try:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async for part in stream:
                answer += part
    except (OSError, anyio.BrokenResourceError):
        return None
    return int(answer.split()[1]) if answer else None


async def run_on(path: str, trials: int, ends: list[AppEnd], problems: list[str]) -> None:
    """Run pairs of processes on a file, one pair after the other, and note what is wrong at the end."""
    chance = random.Random(Path(path).name)
    async with opened(path, timeout=60) as store:
        desk = OrderDesk(store)
        for _ in range(trials):
            with anyio.fail_after(LIMIT):
                async with anyio.create_task_group() as orders:
                    orders.start_soon(desk.work)
                    async with anyio.create_task_group() as pair:
                        for backend in BACKENDS:
                            pair.start_soon(run_and_end, path, desk.offered, backend, chance, ends)
                    orders.cancel_scope.cancel()
    found, slots = await recover(path)
    wrong = [*problems_of(desk.accepted, desk.offered, found), *problems_of_timers(slots)]
    problems += wrong
    timers = ", ".join(f"{name} {effects} of {noted} slots" for name, (noted, effects) in slots.items())
    print(f"{len(desk.accepted)} orders accepted from outside; timers: {timers}; {len(wrong)} problems")


def problems_of_timers(slots: dict[str, tuple[int, int]]) -> Iterator[str]:
    """Yield what is wrong: a slot is fired once, or at most once if it and the effect are two transactions."""
    for name, (noted, effects) in slots.items():
        if effects > noted or (name == "remind" and effects < noted):
            yield f"the timer {name} had {effects} effects in {noted} slots"


async def run_all(folder: Path) -> list[AppEnd]:
    """Run the pairs of each file, the files side by side."""
    ends: list[AppEnd] = []
    problems: list[str] = []
    trials = -(-SIGTERMS // (FILES * len(BACKENDS)))
    async with anyio.create_task_group() as tasks:
        for number in range(FILES):
            tasks.start_soon(run_on, str(folder / f"{number}.db"), trials, ends, problems)
    assert problems == []
    return ends


def test_an_app_that_gets_sigterm_at_any_moment_ends_in_time_and_leaves_nothing_undone(tmp_path: Path) -> None:
    # AP-50
    ends = anyio.run(partial(run_all, tmp_path))
    drained = [end.ready for end in ends if end.ready is not None]
    print(
        f"{len(ends)} SIGTERMs to apps, {sum(end.was_ready for end in ends)} of them ready, drain {DRAIN} s: the last "
        f"exit {max(end.late for end in ends):.3f} s after its signal; /ready asked {len(drained)} times meanwhile"
    )
    assert [end.log.text for end in ends if end.code != 0] == []
    assert set(drained) <= {503}
    assert [end.log.text for end in ends if "Warning" in end.log.text] == []
