"""A group of workers in one process, which runs until a signal tells the process to end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from signal import SIGINT, SIGTERM
from typing import Protocol

import anyio

from modd.checks import checked_methods
from modd.concurrency.cancellation import call
from modd.worker.worker import Worker, close_in_time


class Runnable(Protocol):
    """An object that `run_workers` can run, such as a worker or a relay."""

    async def run(self) -> None:
        """Work until `stop` is called."""

    def stop(self) -> None:
        """Have `run` end."""


async def run_workers(*workers: Runnable) -> None:
    """Run workers, relays, and objects of your own with ``run()`` and ``stop()``, until all have ended.

    The first SIGTERM or SIGINT stops all of them, the second cancels them. If a worker ends with an error, all are
    stopped, and the error is raised afterwards. Buses that are not open are opened, and closed at the latest ``drain``
    seconds of their worker and one second after the signal. Call it in the main thread, because it handles signals.

    Raises: the error of a worker; `ExceptionGroup` for the errors of several; `InvalidOption` for anything without
    ``run()`` and ``stop()``, such as a list of workers.
    """
    for worker in workers:
        checked_methods("workers", worker, ["run", "stop"], "give workers one by one: run_workers(a, b)")
    group = WorkerGroup(workers)
    await group.run()
    if len(group.errors) == 1:
        raise group.errors[0]
    if group.errors:
        raise ExceptionGroup(f"{len(group.errors)} workers failed", group.errors)


class WorkerGroup:
    """Workers that run and stop together; ``errors`` has the errors that they raised."""

    def __init__(self, workers: Sequence[Runnable]) -> None:
        self.errors: list[Exception] = []
        self._workers, self._running = workers, list[Runnable]()
        self._stopped_at: float | None = None

    async def run(self) -> None:
        """Run all workers until they have ended, or until the second signal."""
        with anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._open_and_run, tasks.cancel_scope)
                await anext(signals)
                self._stop()
                await anext(signals)
                tasks.cancel_scope.cancel()

    async def _open_and_run(self, scope: anyio.CancelScope) -> None:
        """Open the buses, run all workers, close the buses, and cancel the scope, which waits for signals."""
        try:
            async with AsyncExitStack() as stack:
                for worker in self._workers:
                    if isinstance(worker, Worker):
                        bus = close_in_time(worker.open_bus(), worker.drain, lambda: self._stopped_at)
                        await stack.enter_async_context(bus)
                async with anyio.create_task_group() as tasks:
                    for worker in self._workers:
                        tasks.start_soon(self._run, worker)
        except Exception as error:
            self.errors.append(error)
        scope.cancel()

    async def _run(self, worker: Runnable) -> None:
        if self._stopped_at is not None:
            return
        self._running.append(worker)
        try:
            await call(worker.run)
        except Exception as error:
            self.errors.append(error)
            self._stop()
        finally:
            self._running.remove(worker)

    def _stop(self) -> None:
        """Stop the workers that run: a worker that does not run would end its next run instead."""
        if self._stopped_at is None:
            self._stopped_at = anyio.current_time()
        for worker in self._running:
            worker.stop()
