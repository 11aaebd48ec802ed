"""The words of the log about parts that a second process moves, so that a process that waits does not seem to hang."""

from __future__ import annotations

from collections.abc import Iterable
from logging import Logger

from modd.follower.track_run import TrackRun


class LeaseNotes:
    """Tells the log once that a second process moves a part, and that this process has taken over.

    seconds: the length of a lease. log: gets the words.
    """

    def __init__(self, seconds: float, log: Logger) -> None:
        self._seconds, self._log = seconds, log
        self._elsewhere: set[str] = set()
        """The parts of which the log was told that a second process moves them."""

    def tell(self, runs: Iterable[TrackRun]) -> None:
        """Tell of the parts that have changed hands, after a look at all leases; one track makes a part held here."""
        runs = [*runs]
        here = {run.track.part for run in runs if run.lease.active}
        elsewhere = {run.track.part for run in runs} - here
        for part in sorted(elsewhere - self._elsewhere):
            text = "%s is moved by another process; if that has died, this one takes over within %g s"
            self._log.info(text, part, self._seconds)
        for part in sorted(here & self._elsewhere):
            self._log.info("%s is moved by this process", part)
        self._elsewhere = (self._elsewhere | elsewhere) - here
