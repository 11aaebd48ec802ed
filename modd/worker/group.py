"""A group of workers in one process, which runs until a signal tells the process to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import anyio

from modd.worker.member import GroupMember, Runnable, check_runnable
from modd.worker.termination import close_in_time, run_until_signalled
from modd.worker.worker import Worker


async def run_workers(*workers: Runnable) -> None:
    """Run workers, relays, and objects of your own with ``run()`` and ``stop()``, until all have ended.

    The first SIGTERM or SIGINT stops all of them, the second cancels them. If a worker ends with an error, all are
    stopped, and the error is raised afterwards. Buses that are not open are opened, and closed at the latest ``drain``
    seconds of their worker and one second after the signal. Call it in the main thread, because it handles signals.

    Raises: the error of a worker; `ExceptionGroup` for the errors of several; `InvalidOption` for anything without an
    async ``run()`` and a plain ``stop()``, such as a list of workers.
    """
    for worker in workers:
        check_runnable("workers", worker, "give workers one by one: run_workers(a, b)")
    group = WorkerGroup(workers)
    await run_until_signalled(group.run, lambda signal: group.stop(), lambda signal: group.cancel())
    if len(group.errors) == 1:
        raise group.errors[0]
    if group.errors:
        raise ExceptionGroup(f"{len(group.errors)} workers failed", group.errors)


class WorkerGroup:
    """Workers that run and stop together; ``errors`` has the errors that they raised.

    workers: the workers, relays, and objects with ``run()`` and ``stop()``.
    """

    def __init__(self, workers: Sequence[Runnable]) -> None:
        self.errors: list[Exception] = []
        self._members = [GroupMember(worker) for worker in workers]
        self._buses = [
            close_in_time(worker.label, worker.open_bus(), worker.drain, lambda: self._stopped_at)
            for worker in workers
            if isinstance(worker, Worker)
        ]
        self._stopped_at: float | None = None
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Run all workers until they have ended, or until `cancel`."""
        with self._scope:
            try:
                await run_members(self._members, self._buses, self._note_end)
            except Exception as error:
                self.errors.append(error)

    def stop(self) -> None:
        """Tell the workers to stop."""
        if self._stopped_at is None:
            self._stopped_at = anyio.current_time()
        for member in self._members:
            member.stop()

    def cancel(self) -> None:
        """Cancel the workers that still run."""
        self._scope.cancel()

    def _note_end(self, member: GroupMember) -> None:
        self.errors += member.errors
        if member.errors:
            self.stop()


async def run_members(
    members: Sequence[GroupMember],
    buses: Iterable[AbstractAsyncContextManager[object]],
    on_end: Callable[[GroupMember], None],
) -> None:
    """Open buses, run members side by side until all have ended, and close the buses.

    buses: the buses, as contexts. on_end: called with each member that has ended.

    Raises: the error of a bus that cannot be opened or closed.
    """
    async with AsyncExitStack() as stack:
        for bus in buses:
            await stack.enter_async_context(bus)
        async with anyio.create_task_group() as tasks:
            for member in members:
                tasks.start_soon(run_member, member, on_end)


async def run_member(member: GroupMember, on_end: Callable[[GroupMember], None]) -> None:
    """Run a member. on_end: called with it when it has ended, even if it was cancelled."""
    try:
        await member.run()
    finally:
        on_end(member)
