"""A track as the engine moves it: its lease, its cursor, and the commits in which it does events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from logging import DEBUG, Logger
from typing import Any

from modd.concurrency.backoff import DoublingPause
from modd.concurrency.cancellation import error_of
from modd.core import log_error
from modd.follower.cursor import CursorFailure, Cursors, StoredCursor, TrackCursor
from modd.follower.track import EventFailure, LoggedEvent, Track, TrackBatch
from modd.follower.track_lease import TrackLease
from modd.ports.errors import Conflict, StoreError, raise_misuse
from modd.ports.storage import Storage
from modd.worker.dead_letters import reason_of
from modd.worker.retry import BackoffFunction

UNSAVED = 256
"""Events without a function after which the position is written, so that a restart does not read them again."""


SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 300.0
"""Least and most seconds between two attempts at an event that stops a track, whatever the backoff."""


MOST_GROWTH = 50
"""Attempts after which the pauses grow no more."""


class TrackRun:
    """Moves one track along the log.

    track: the flow, or the build of a projection. store: its store. lease: that of the track. backoff: seconds after a
    failed attempt, by its number. log: gets failures.
    """

    def __init__(self, track: Track, store: Storage, lease: TrackLease, backoff: BackoffFunction, log: Logger) -> None:
        self.track, self.lease = track, lease
        self._store, self._cursors, self._backoff, self._log = store, Cursors(store), backoff, log
        self._stored: StoredCursor | None = None
        self.position = 0
        """That of the last event that is done; the stored one may be an earlier one, if nothing had to be written."""
        self.has_arrived = False
        """True if the track was at the end of the log, and `Track.at_end` has been called since."""
        self.has_appended = False
        """True if the last commit has appended events to the log."""
        self._pause = DoublingPause()
        self._is_new = True
        """True before the first events: the process may have mended what has failed."""

    @property
    def is_loaded(self) -> bool:
        """True if the cursor is known."""
        return self._stored is not None

    @property
    def body(self) -> bytes | None:
        """The bytes of the stored cursor, as far as they are known."""
        return None if self._stored is None else self._stored.body

    @property
    def failure(self) -> CursorFailure | None:
        """The event before which the track stands."""
        return None if self._stored is None else self._stored.cursor.failure

    def seconds_to_retry(self) -> float:
        """Return the seconds until the track may be moved again after a failure; 0 if it may be moved now."""
        seconds = self._pause.left()
        if self.failure is not None and not self._is_new:
            seconds = max(seconds, self.failure.retry_at - self._store.clock())
        return seconds

    def forget(self) -> None:
        """Drop all that is kept in memory, because a second process may have written, or a commit has failed."""
        self._stored = None
        self.track.forget()

    async def load(self) -> bool:
        """Load the cursor; False if there is none, so that the track is gone."""
        self._stored = await self._cursors.load(self.track.key)
        if self._stored is not None:
            self.position = self._stored.cursor.position
        return self._stored is not None

    async def attempt(self, action: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Do something with the track; after an error forget what is in memory, and pause if the store has failed.

        Raises: the error of a store that is used in a wrong way.
        """
        error = await error_of(action, *args)
        if error is None:
            self._pause.reset()
            return
        self.forget()
        if isinstance(error, Conflict):
            self._log.log(DEBUG, "%s goes on from where another process has left it: %s", self.track.key, error)
            return
        raise_misuse(error)
        seconds = self._pause.begin()
        log_error(
            self._log, "%s does not get on; next try in %g s", *(self.track.key, seconds), error=error, message=None
        )

    async def advance(self, events: Sequence[LoggedEvent], end: int) -> None:
        """Do events, up to a position behind which the track goes on."""
        self._is_new = self.has_appended = False
        types = self.track.types
        wanted = events if types is None else [each for each in events if each.type in types]
        if wanted:
            await self._do(wanted, end)
        elif self.failure is not None or end - self._cursor.position >= UNSAVED:
            await self._commit(self._cursor.moved(end), None)
        else:
            self.position = end

    async def do_due(self) -> bool:
        """Do what is due by now; True if there was something."""
        due, now = await self.track.next_due(), self._store.clock()
        if due is None or due > now:
            return False
        batch = await self.track.prepare_due(now)
        if batch.is_empty:
            batch.done()
        else:
            await self._commit(self._cursor.moved(self.position), batch)
        return not batch.is_empty

    async def save(self) -> None:
        """Write the position, if it has moved in memory alone."""
        if self._stored is not None and self.position > self._cursor.position:
            await self._commit(self._cursor.moved(self.position), None)

    @property
    def _cursor(self) -> TrackCursor:
        assert self._stored is not None  # the engine moves only tracks that are loaded
        return self._stored.cursor

    async def _do(self, events: Sequence[LoggedEvent], end: int) -> None:
        batch = await self.track.prepare(events)
        if batch.is_empty and batch.failed is None and self.failure is None and end - self._cursor.position < UNSAVED:
            self.position = end
            return
        error = await error_of(self._write, batch, end)
        if error is None:
            return
        if isinstance(error, (Conflict, StoreError)):
            raise error
        await self._find_failure(events, end)

    async def _find_failure(self, events: Sequence[LoggedEvent], end: int) -> None:
        """Do the events of a batch that cannot be written in halves, up to the event that is the reason."""
        self.track.forget()
        if len(events) == 1:
            await self._do_or_fail(events, end)
            return
        half = len(events) // 2
        await self._do(events[:half], events[half].position - 1)
        if self.failure is None:
            await self._do(events[half:], end)

    async def _do_or_fail(self, events: Sequence[LoggedEvent], end: int) -> None:
        """Do an event alone, for the last time: a track that has forgotten all may do it in a safer way."""
        batch = await self.track.prepare(events)
        error = await error_of(self._write, batch, end)
        if isinstance(error, (Conflict, StoreError)):
            raise error
        if error is not None:
            self.track.forget()
            await self._fail(EventFailure(events[0].position, error), None)

    async def _write(self, batch: TrackBatch, end: int) -> None:
        if batch.failed is None:
            await self._commit(self._cursor.moved(end), batch)
        else:
            await self._fail(batch.failed, batch)

    async def _fail(self, failed: EventFailure, batch: TrackBatch | None) -> None:
        """Write what came before an event that cannot be done, and that the track stands before it."""
        earlier = self.failure
        attempts = earlier.attempts + 1 if earlier is not None and earlier.position == failed.position else 1
        seconds = min(max(self._backoff(min(attempts, MOST_GROWTH)), SHORTEST_PAUSE), LONGEST_PAUSE)
        failure = CursorFailure(failed.position, reason_of(failed.error), attempts, self._store.clock() + seconds)
        await self._commit(self._cursor.moved(failed.position - 1, failure), batch)
        text = "%s stands before event %d, and tries again in %g s"
        args = self.track.key, failed.position, seconds
        log_error(self._log, text, *args, error=failed.error, message=None)

    async def _commit(self, cursor: TrackCursor, batch: TrackBatch | None) -> None:
        assert self._stored is not None  # as above
        async with self._store.transaction():
            stored = await self._cursors.swap(self.track.key, cursor, self._stored)
            if batch is not None:
                await batch.write()
        self._stored, self.position = stored, cursor.position
        if batch is not None:
            self.has_appended = batch.has_appended
            batch.done()
