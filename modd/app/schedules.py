"""Schedules: the moments, called slots, at which a timer fires. They do no I/O and know no clock."""

from __future__ import annotations

from math import floor
from typing import Protocol


class Schedule(Protocol):
    """The slots of a timer, each in seconds by the clock of the timer."""

    def following(self, at: float) -> float:
        """Return the first slot after a time; infinity if there is none."""
        ...

    def latest(self, after: float, until: float) -> float | None:
        """Return the last slot that is later than ``after`` and not later than ``until``; None if there is none."""
        ...


class PeriodicSchedule:
    """A slot every so many seconds.

    seconds: the period.
    origin: the time of one of the slots.
    """

    def __init__(self, seconds: float, origin: float) -> None:
        self.seconds, self.origin = seconds, origin

    def following(self, at: float) -> float:
        """Return the first slot after a time."""
        return self._slot(self._number(at) + 1)

    def latest(self, after: float, until: float) -> float | None:
        """Return the last slot that is later than ``after`` and not later than ``until``; None if there is none."""
        slot = self._slot(self._number(until))
        return slot if slot > after else None

    def _number(self, at: float) -> int:
        """Return the number of the last slot that is not later than a time."""
        number = floor((at - self.origin) / self.seconds) + 1  # rounding may have made it too small by one
        while self._slot(number) > at:
            number -= 1
        return number

    def _slot(self, number: int) -> float:
        return self.origin + number * self.seconds
