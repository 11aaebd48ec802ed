"""The end of a process: the signals that ask for it, and buses that are closed in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import anyio
from anyio.abc import TaskStatus

from modd.concurrency.blocks import async_block
from modd.worker.source import log

GRACE = 1.0
"""Seconds after the drain, in which messages are released and the bus is closed."""


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


@async_block
async def close_in_time(
    label: str, context: AbstractAsyncContextManager[Any], drain: float, stopped_at: Callable[[], float | None]
) -> AsyncIterator[None]:
    """Enter a context for the block; cancel its close `GRACE` and ``drain`` seconds after the stop, and log that.

    label: the words for its worker in the log. stopped_at: returns the time of the stop by the clock of the loop, None
    if there was none; called after the block.
    """
    error: BaseException | None = None
    with anyio.CancelScope() as scope:
        async with context:
            try:
                yield
            except BaseException as raised:
                error = raised
                raise
            finally:
                stop = stopped_at()
                scope.deadline = (anyio.current_time() if stop is None else stop) + drain + GRACE
    if scope.cancelled_caught:
        log.warning("%s: closing its bus took too long and was cancelled", label)
        if error is not None:
            raise error
