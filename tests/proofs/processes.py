"""Processes for proofs: a zygote that has imported everything forks one for each trial, so that it costs little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]


class Job(msgspec.Struct, frozen=True):
    """What a process is to do.

    function: ``module:name`` of an async function of `Outside` and of what is ``given``.
    backend: the loop that it runs on.
    signals: what is sent to it, each so many seconds after it has told something for the first time.
    """

    function: str
    given: dict[str, Any] = {}
    backend: str = "asyncio"
    signals: list[tuple[float, int]] = []


class Outcome(msgspec.Struct, frozen=True):
    """What became of a process.

    told: what it told. code: how it ended, minus the signal that killed it. late: seconds from the first signal to the
    end, None if it was sent none.
    """

    told: list[Any]
    code: int
    late: float | None

    @property
    def killed(self) -> bool:
        """Whether it killed itself, as it was asked to."""
        return self.code == -9

    def named(self, name: str) -> list[Any]:
        """What was told under a name: values of maps."""
        return [each[name] for each in self.told if name in each]


class Zygote:
    """Runs jobs in processes of their own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, *jobs: Job) -> list[Outcome]:
        """Run them side by side, and return when all have ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(jobs) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the zygote has ended"
        return msgspec.json.decode(line, type=list[Outcome])


@contextmanager
def zygote() -> Iterator[Zygote]:
    """A zygote for as long as the block lasts; warnings are errors in it."""
    command = [sys.executable, "-W", "error", "-m", "tests.proofs.zygote"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Zygote(process)
        assert process.stdin is not None
        process.stdin.close()
