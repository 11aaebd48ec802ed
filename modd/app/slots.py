"""The slots of one run of a timer, as its clock comes to them: each once, also when the clock of the system jumps."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import anyio

from modd.app.schedules import Schedule

PRECISION = 1e-6
"""Seconds: a loop may wake a timer so much too early."""


DAY = 86_400.0
"""Seconds; a slot of a cron text that is older is not made up for."""


MINUTE = 60.0
"""Seconds after which the clock of the system is read again, because it may have been set."""


SET_BACK = 3 * 3600.0
"""Seconds; a clock that is set back by up to so much passes slots twice, and they count once. By more, it was wrong."""


class AdvancingClock:
    """Seconds since 1970 that pass by the clock of the loop, and are moved forward with the clock of the system.

    So they never stand still, and never go back.

    clock: returns the time of the system, in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._time, self._read_at = clock(), anyio.current_time()

    def __call__(self) -> float:
        """Return the time."""
        now = anyio.current_time()
        self._time = max(self._clock(), self._time + now - self._read_at)
        self._read_at = now
        return self._time


class SlotSequence:
    """The slots of a schedule that a timer has yet to fire.

    schedule: the schedule.
    now: returns the time by the clock of the schedule.
    passed: the time up to which all slots count as fired.
    longest_wait: the most seconds to wait before ``now`` is read again; 60 by default.
    max_age: seconds after which a slot is too old to fire; by default none is.
    """

    def __init__(
        self,
        schedule: Schedule,
        now: Callable[[], float],
        passed: float,
        *,
        longest_wait: float = MINUTE,
        max_age: float = inf,
    ) -> None:
        self._schedule, self._now, self._start = schedule, now, now()
        self._longest_wait, self._max_age = longest_wait, max_age
        self._pass(passed)

    def take(self) -> float | None:
        """Return the latest slot that is due, and pass it and the slots before it; None if none is due."""
        now = self._now()
        if self._passed - now > SET_BACK:
            self._pass(now)
        if now + PRECISION < self._next:
            return None
        earliest = max(self._passed, now - self._max_age)
        slot = self._schedule.latest(earliest, now + PRECISION)
        self._pass(earliest if slot is None else slot)
        return slot

    def is_made_up_for(self, slot: float) -> bool:
        """Return True for a slot before the start of the sequence."""
        return slot < self._start - PRECISION

    def leave_out(self, grace: float) -> bool:
        """Pass the slots that became due more than ``grace`` seconds ago; return True if there were any."""
        missed = self._schedule.latest(self._passed, self._now() - grace - PRECISION)
        if missed is not None:
            self._pass(missed)
        return missed is not None

    def seconds_left(self) -> float:
        """Return the seconds to wait before the next call of `take`."""
        return min(self._next - self._now(), self._longest_wait)

    def seconds_since(self, slot: float) -> float:
        """Return the seconds since a slot."""
        return self._now() - slot

    def _pass(self, time: float) -> None:
        """Count all slots up to a time as fired."""
        self._passed, self._next = time, self._schedule.following(time)
