"""The polls of an object that asks a store for work: when the last one was, and if that is too long ago."""

from __future__ import annotations

from collections.abc import Callable

from modd.concurrency.loops import LoopEvent

MISSED_POLLS = 3
"""Number of polls that an object may miss."""
SHORTEST = 5.0
"""Seconds that a poll may take in any case."""


class Polling:
    """Notes the polls of an object, for health checks.

    poll: most seconds between two polls. clock: returns the time in seconds.
    """

    def __init__(self, poll: float, clock: Callable[[], float]) -> None:
        self.last: float | None = None
        """The time of the last poll; None before the first."""
        self._most, self._clock = max(MISSED_POLLS * poll, SHORTEST), clock
        self._has_polled = False
        """True if there was a poll in the run that is under way."""
        self._waiting: list[LoopEvent] = []

    def note(self) -> None:
        """Note a poll that was answered."""
        self.last, self._has_polled = self._clock(), True
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.set()

    def end(self) -> None:
        """Note the end of the run: the next run is ready when it has polled."""
        self._has_polled = False

    async def wait(self) -> None:
        """Return when the run that is under way, or else the next one, has polled."""
        if not self._has_polled:
            polled = LoopEvent()
            self._waiting.append(polled)
            try:
                await polled.wait()
            finally:
                self._waiting = [each for each in self._waiting if each is not polled]

    def problem(self, last: float | None) -> str | None:
        """Return the words for a last poll that is too long ago, or for none in this run; else None."""
        if last is None or not self._has_polled:
            return "not polled yet"
        age = self._clock() - last
        return f"last polled {age:.0f} s ago" if age > self._most else None
