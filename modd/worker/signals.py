"""Running workers until the process is told to end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from signal import SIGINT, SIGTERM
from typing import Protocol

import anyio

from modd.worker.worker import Worker


class Runnable(Protocol):
    """What `run_workers` runs: a worker, a relay, or something of your own."""

    async def run(self) -> None:
        """Work until it is stopped."""

    def stop(self) -> None:
        """Have `run` come to its end."""


async def run_workers(*workers: Runnable) -> None:
    """Run workers, and whatever else has ``run()`` and ``stop()``, until all have ended.

    At the first SIGTERM or SIGINT all are stopped, at the second they are cancelled. When one ends with an error the
    others are stopped, and the error is raised then; several are raised as a group. Buses that are not open are
    opened. Call it in the main thread: nothing else of modd touches signals.
    """
    crew = Crew(workers)
    async with AsyncExitStack() as stack:
        for worker in workers:
            if isinstance(worker, Worker):
                await stack.enter_async_context(worker.opened())
        await crew.run()
    if len(crew.errors) == 1:
        raise crew.errors[0]
    if crew.errors:
        raise ExceptionGroup(f"{len(crew.errors)} workers failed", crew.errors)


class Crew:
    """Workers that run together; ``errors`` has what they raised."""

    def __init__(self, workers: Sequence[Runnable]) -> None:
        self.errors: list[Exception] = []
        self._workers, self._left, self._stopped = workers, len(workers), False

    async def run(self) -> None:
        """Run all to their ends, or until the second signal."""
        with anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
            async with anyio.create_task_group() as tasks:
                for worker in self._workers:
                    tasks.start_soon(self._run, worker, tasks.cancel_scope)
                if self._workers:
                    await anext(signals)
                    self._stop()
                    await anext(signals)
                tasks.cancel_scope.cancel()

    async def _run(self, worker: Runnable, everything: anyio.CancelScope) -> None:
        try:
            if not self._stopped:  # else it would not know of it: it has not begun
                await worker.run()
        except Exception as error:
            self.errors.append(error)
            self._stop()
        self._left -= 1
        if not self._left:
            everything.cancel()

    def _stop(self) -> None:
        self._stopped = True
        for worker in self._workers:
            worker.stop()
