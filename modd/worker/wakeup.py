"""The wake-up of the loop of a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from modd.concurrency.signals import Signal, set_signal, signals


class Wakeup:
    """Lets a task wait until it is woken; a wake-up before the wait is not lost."""

    def __init__(self) -> None:
        self._woken = False
        self._signal: Signal = None
        """Ends `sleep`; None while no task is in it."""
        self._scope: anyio.CancelScope | None = None

    @property
    def asleep(self) -> bool:
        """True while a task is in `sleep`."""
        return self._signal is not None

    def wake(self) -> None:
        """End the current wait, or the next one."""
        self._woken = True
        if self._signal is not None:
            set_signal(self._signal)
        if self._scope is not None:
            self._scope.cancel()

    async def sleep(self) -> None:
        """Wait for `wake`."""
        if not self._woken:
            self._signal = signals()()
            try:
                await self._signal
            finally:
                self._signal = None
        self._woken = False

    async def interrupt(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Run a wait to its end, or until `wake`."""
        if not self._woken:
            try:
                with anyio.CancelScope() as self._scope:
                    await wait()
            finally:
                self._scope = None
        self._woken = False
