"""The signals that ask a process to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from signal import SIGINT, SIGTERM, Signals

import anyio
from anyio.abc import TaskStatus


async def run_until_signalled(
    work: Callable[[], Awaitable[None]], stop: Callable[[Signals], object], cancel: Callable[[Signals], object]
) -> None:
    """Run some work; call ``stop`` at the first SIGTERM or SIGINT, and ``cancel`` at the second one.

    Call it in the main thread. After the second signal, and afterwards, signals have their former effect again, so that
    a third one ends a process whose work cannot be cancelled.
    """
    async with anyio.create_task_group() as tasks:
        await tasks.start(_act, stop, cancel)
        await work()
        tasks.cancel_scope.cancel()


async def _act(*actions: Callable[[Signals], object], task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
        task_status.started()
        for action in actions:
            action(await anext(signals))
