"""The program that forks processes for proofs; `tests.proofs.processes` starts it.

It opens no store and starts no thread, so that it can be forked at any time.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from time import monotonic
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from tests.proofs.processes import Job, Outcome

PATIENCE = 480.0
"""Seconds after which a process is taken to hang; it is ended with SIGABRT, and says where it was.

It is longer than any process takes on a slow machine beside other work, and shorter than pytest's limit for a test, by
which nobody would learn where the process was.
"""
THREADS = 60.0
"""Seconds for a thread that has told that it ends."""

BACKENDS = ("anyio._backends._asyncio", "anyio._backends._trio")
"""Modules that a loop imports when it begins: imported before the forks, they cost once and not in each process."""


class Outside:
    """What a job has of the process that supervises it."""

    def __init__(self, out: int, go: int) -> None:
        self._out, self._go = out, go

    def tell(self, **values: Any) -> None:
        """Tell something at once; a process that is killed has told it."""
        os.write(self._out, msgspec.json.encode(values) + b"\n")

    async def together(self) -> None:
        """Wait until each of the jobs has told something."""
        await anyio.to_thread.run_sync(os.read, self._go, 1)


class Child:
    """A process from its fork to its end."""

    def __init__(self, job: Job, pid: int, out: int) -> None:
        self.pid, self.out = pid, out
        self._heard = b""
        self._signals, self._due = list(job.signals), list[tuple[float, int]]()
        self._first = 0.0
        self.outcome: Outcome | None = None

    @property
    def spoke(self) -> bool:
        """Whether it has told something, or has ended."""
        return b"\n" in self._heard or self.outcome is not None

    @property
    def next(self) -> float:
        """When the next signal is due."""
        return self._due[0][0] if self._due else float("inf")

    def hear(self) -> None:
        """Take in what it has told; at the end of that, it has ended."""
        heard = os.read(self.out, 1 << 16)
        if not self._heard and heard:
            self._due = [(monotonic() + after, number) for after, number in self._signals]
        self._heard += heard
        if not heard:
            self._end()

    def send(self) -> None:
        """Send the signals that are due."""
        while monotonic() >= self.next:
            self._first = self._first or monotonic()
            os.kill(self.pid, self._due.pop(0)[1])

    def _end(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        os.close(self.out)
        late = monotonic() - self._first if self._first else None
        told = [msgspec.json.decode(line) for line in self._heard.splitlines()]
        self.outcome = Outcome(told, os.waitstatus_to_exitcode(status), late)


def forked(jobs: Sequence[Job]) -> list[Outcome | None]:
    """Run jobs in processes of their own. In such a process it raises SystemExit."""
    functions = [_function(job.function) for job in jobs]
    gc.freeze()  # so that children do not copy what they never change
    wait, go = os.pipe()
    children: list[Child] = []
    for job, function in zip(jobs, functions, strict=True):
        out, into = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(go)
            work(function, job, Outside(into, wait))
        os.close(into)
        children.append(Child(job, pid, out))
    os.close(wait)
    supervise(children, go)
    return [child.outcome for child in children]


def work(function: Callable[..., Coroutine[Any, Any, None]], job: Job, outside: Outside) -> None:
    """Do a job in this process, tell which threads are left, and end it as programs end."""
    anyio.run(lambda: function(outside, **job.given), backend=job.backend)
    outside.tell(threads=[thread.name for thread in threading.enumerate() if is_left(thread)])
    sys.exit(0)


def is_left(thread: threading.Thread) -> bool:
    """Whether a thread does not end when all is done. Those that trio keeps for its next call are trio's affair."""
    if thread is threading.main_thread() or thread.name.startswith("Trio thread"):
        return False
    thread.join(THREADS)
    return thread.is_alive()


def supervise(children: Sequence[Child], go: int) -> None:
    """Hear what they tell, and send them signals, until all have ended."""
    end, begun = monotonic() + PATIENCE, False
    while living := [child for child in children if child.outcome is None]:
        timeout = min(end, *(child.next for child in living)) - monotonic() if living else 0
        ready, _, _ = select.select([child.out for child in living], [], [], max(0.0, timeout))
        for child in living:
            if child.out in ready:
                child.hear()
            else:
                child.send()
        if monotonic() >= end:
            for child in living:
                os.kill(child.pid, signal.SIGABRT)
            end += PATIENCE
        if not begun and all(child.spoke for child in children):
            begun = True
            os.close(go)
    if not begun:
        os.close(go)


def _function(name: str) -> Callable[..., Coroutine[Any, Any, None]]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Coroutine[Any, Any, None]] = getattr(import_module(module), attribute)
    return function


def main() -> None:
    """Run what is asked for, until nothing more is."""
    faulthandler.enable()
    logging.disable()  # failures are a part of what is proven
    for backend in BACKENDS:
        import_module(backend)
    for line in sys.stdin.buffer:
        outcomes = forked(msgspec.json.decode(line, type=list[Job]))
        sys.stdout.buffer.write(msgspec.json.encode(outcomes) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
