"""Running workers until the process is told to end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from signal import SIGINT, SIGTERM
from typing import Protocol

import anyio

from modd.worker.claim import PATIENCE
from modd.worker.worker import Worker, closed_by


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
    opened, and closed within the ``drain`` of a worker and one second of the signal, or that is cancelled. Call it in
    the main thread: nothing else of modd touches signals.
    """
    crew = Crew(workers)
    await crew.run()
    if len(crew.errors) == 1:
        raise crew.errors[0]
    if crew.errors:
        raise ExceptionGroup(f"{len(crew.errors)} workers failed", crew.errors)


class Crew:
    """Workers that run together; ``errors`` has what they raised."""

    def __init__(self, workers: Sequence[Runnable]) -> None:
        self.errors: list[Exception] = []
        self._workers, self._running = workers, list[Runnable]()
        self._stopped_at: float | None = None

    async def run(self) -> None:
        """Run all to their ends, or until the second signal."""
        with anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._work, tasks.cancel_scope)
                await anext(signals)
                self._stop()
                await anext(signals)
                tasks.cancel_scope.cancel()

    async def _work(self, everything: anyio.CancelScope) -> None:
        """Open the buses, run all, and close the buses."""
        try:
            async with AsyncExitStack() as stack:
                for worker in self._workers:
                    if isinstance(worker, Worker):
                        await stack.enter_async_context(closed_by(worker.opened(), partial(self._until, worker.drain)))
                async with anyio.create_task_group() as tasks:
                    for worker in self._workers:
                        tasks.start_soon(self._run, worker)
        except Exception as error:
            self.errors.append(error)
        everything.cancel()

    async def _run(self, worker: Runnable) -> None:
        if self._stopped_at is not None:
            return
        self._running.append(worker)
        try:
            await worker.run()
        except Exception as error:
            self.errors.append(error)
            self._stop()
        finally:
            self._running.remove(worker)

    def _until(self, drain: float) -> float:
        return (anyio.current_time() if self._stopped_at is None else self._stopped_at) + drain + PATIENCE

    def _stop(self) -> None:
        """Stop those that run: one that does not would take it for its next run."""
        if self._stopped_at is None:
            self._stopped_at = anyio.current_time()
        for worker in self._running:
            worker.stop()
