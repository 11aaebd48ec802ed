"""The signals that ask a process to end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from signal import SIGINT, SIGTERM, Signals

import anyio


async def run_until_signalled(
    work: Callable[[], Awaitable[None]], stop: Callable[[Signals], object], cancel: Callable[[Signals], object]
) -> None:
    """Run some work; call ``stop`` at the first SIGTERM or SIGINT, and ``cancel`` at the second one.

    Call it in the main thread. The signals have their former effect again afterwards.
    """
    with anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_act, signals, stop, cancel)
            await work()
            tasks.cancel_scope.cancel()


async def _act(signals: AsyncIterator[Signals], *actions: Callable[[Signals], object]) -> None:
    for action in actions:
        action(await anext(signals))
