"""The opening of a part: its tracks, asked for again after a failure, while other parts go on."""

from __future__ import annotations

from collections.abc import Sequence
from logging import Logger

from modd.concurrency.backoff import DoublingPause
from modd.concurrency.cancellation import error_of
from modd.core import log_error
from modd.follower.opening_notes import OpeningFailure, OpeningNotes
from modd.follower.track import Track, TrackSource
from modd.follower.track_run import LONGEST_PAUSE, SHORTEST_PAUSE
from modd.ports.errors import Conflict, StoreError
from modd.ports.storage import Storage
from modd.worker.dead_letters import reason_of


class PartOpening:
    """Opens a part, again with growing pauses while that fails.

    source: the part. store: keeps the reason until the part is open. log: gets failures.
    """

    def __init__(self, source: TrackSource, store: Storage, log: Logger) -> None:
        self.name = source.name
        self._source, self._log, self._clock, self._notes = source, log, store.clock, OpeningNotes(store)
        self._is_open, self._attempts = False, 0
        self.error: Exception | None = None
        """The error of the last attempt, also after the end of a run; None if it succeeded."""
        self._pause = DoublingPause(SHORTEST_PAUSE, LONGEST_PAUSE)

    @property
    def is_due(self) -> bool:
        """True if the part is to be opened now."""
        return not (self._is_open or self.seconds_to_retry())

    @property
    def reason(self) -> str:
        """Type and text of the error; empty for none."""
        return "" if self.error is None else reason_of(self.error)

    def seconds_to_retry(self) -> float:
        """Return the seconds until the next attempt after a failure; 0 if there is no pause."""
        return self._pause.left()

    def reopen(self) -> None:
        """Have the part opened again; not before the end of a pause."""
        self._is_open = False

    def close(self) -> None:
        """Have the part opened again in the next run, at once: it may be mended."""
        self._is_open = False
        self._pause.reset()

    async def open(self) -> Sequence[Track]:
        """Return the tracks; none if the part cannot be opened.

        Raises `StoreError` and `Conflict`, for which no part is the reason.
        """
        tracks: list[Track] = []
        self.error = await error_of(self._open, tracks)
        if self.error is None:
            await self._notes.remove(self.name, self._clock())
        else:
            await self._notes.put(self.name, self._fail(self.error))
        return tracks

    async def _open(self, tracks: list[Track]) -> None:
        tracks += await self._source.open()
        self._is_open, self._attempts = True, 0
        self._pause.reset()

    def _fail(self, error: Exception) -> OpeningFailure:
        """Begin a pause after an error; return the reason. Raises errors for which no part is the reason."""
        if isinstance(error, (Conflict, StoreError)):
            self.error = None
            raise error
        seconds = self._pause.begin()
        self._attempts += 1
        text = "%s cannot be opened, others go on; next try in %g s"
        log_error(self._log, text, self.name, seconds, error=error, message=None)
        return OpeningFailure(self.reason, self._attempts, self._clock() + seconds)
