"""Waiting until one is woken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio


class Waking:
    """Lets one task wait until it is woken; being woken before counts, so that nothing is missed."""

    def __init__(self) -> None:
        self._woken = False
        self._event: anyio.Event | None = None
        self._scope: anyio.CancelScope | None = None

    @property
    def asleep(self) -> bool:
        """Whether nothing but being woken is waited for."""
        return self._event is not None

    def wake(self) -> None:
        """End the wait that is going on, or the next one."""
        self._woken = True
        if self._event is not None:
            self._event.set()
        if self._scope is not None:
            self._scope.cancel()

    async def sleep(self) -> None:
        """Wait until it is woken."""
        if not self._woken:
            self._event = anyio.Event()
            try:
                await self._event.wait()
            finally:
                self._event = None
        self._woken = False

    async def rest(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for something, or until it is woken."""
        if not self._woken:
            try:
                with anyio.CancelScope() as self._scope:
                    await wait()
            finally:
                self._scope = None
        self._woken = False
