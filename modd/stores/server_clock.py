"""The time of the server, as far as this process has seen it: it never runs ahead of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic

from modd.checks import checked_callable

REFRESH = 60.0
"""Seconds after which the server is asked for its time again."""


class ServerClock:
    """The time of the server, in seconds since 1970. The wall clock of this process does not matter.

    Each time of the server that is seen is a time that has passed. The clock goes by the one that was the latest for
    its moment, so that a lease never ends early by it.

    local: returns seconds that only go forward; ``time.monotonic`` by default.
    """

    def __init__(self, local: Callable[[], float] = monotonic) -> None:
        self._local: Callable[[], float] = checked_callable("local", local)
        self._offset = -inf
        self._refresh_at = -inf

    def __call__(self) -> float:
        """Return the time of the server; up to now it has not been earlier."""
        return self._local() + self._offset

    def see(self, at: float) -> None:
        """Note a time of the server that has passed."""
        self._offset = max(self._offset, at - self._local())

    async def refresh(self, ask: Callable[[], Awaitable[float]]) -> None:
        """Ask for the time of the server if it was not asked for a minute."""
        if self._local() >= self._refresh_at:
            self._refresh_at = self._local() + REFRESH
            self.see(await ask())
