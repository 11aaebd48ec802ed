"""The engine of a follower: it reads the log, and moves the tracks along it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Sequence
from functools import partial
from logging import Logger
from math import inf
from typing import Any

import anyio
import msgspec

from modd.concurrency.backoff import spread
from modd.concurrency.blocks import async_block
from modd.concurrency.lease import LeaseKeeper
from modd.follower.cursor import Cursors, TrackCursor
from modd.follower.lease_notes import LeaseNotes
from modd.follower.log_reader import LogPage, LogReader
from modd.follower.part_opening import PartOpening
from modd.follower.track import TrackSource
from modd.follower.track_lease import TrackLease
from modd.follower.track_run import TrackRun
from modd.ports.storage import Storage
from modd.worker.retry import BackoffFunction
from modd.worker.wakeup import Wakeup

JITTER = 0.25
"""Share by which the seconds between two looks at leases differ, so that processes do not look in step."""


class EngineOptions(msgspec.Struct, frozen=True):
    """The options of a `Follower` that its engine needs.

    batch: events of a page, or None. backoff: seconds after a failed attempt. lease: seconds of a lease. poll: most
    seconds between two looks.
    """

    batch: int | None
    backoff: BackoffFunction
    lease: float
    poll: float


class Engine:
    """Moves tracks along the log; tracks at one position move together.

    store: the store. sources: the parts of the follower. options: those of the engine. log: gets failures.
    """

    def __init__(self, store: Storage, sources: Sequence[TrackSource], options: EngineOptions, log: Logger) -> None:
        self._store, self._options, self._log = store, options, log
        self._reader = LogReader(store.events, options.batch)
        self._cursors = Cursors(store)
        self._leases, self._notes = LeaseKeeper(options.lease, log), LeaseNotes(options.lease, log)
        self._wakeup = Wakeup()
        self.runs: dict[str, TrackRun] = {}
        """The tracks by their keys, as far as they are open."""
        self.parts = {source.name: PartOpening(source, store, log) for source in sources}
        """The parts by their names."""
        self._look_at = 0.0
        self._has_moved = False

    def wake(self) -> None:
        """End the wait that is under way, and look at leases and cursors anew."""
        self._look_at = 0.0
        self._wakeup.wake()

    def reopen(self, source: str) -> None:
        """Ask a source for its tracks again, before the next events."""
        self.parts[source].reopen()
        self._wakeup.wake()

    @async_block
    async def session(self) -> AsyncIterator[None]:
        """Renew leases during the block; at its end save the positions, and release the leases."""
        failed: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._leases.keep_all, self._held_leases)
            try:
                yield
                await self._each(self._unpaused(), TrackRun.save)
            except Exception as error:  # the task group would wrap it into a group
                failed = error
            finally:
                tasks.cancel_scope.cancel()
                await self._close()
        if failed is not None:
            raise failed

    async def advance(self) -> bool:
        """Move all tracks by a page of the log each; True if there may be more to do at once."""
        self._has_moved = False
        await self._open_parts()
        if anyio.current_time() >= self._look_at:
            await self._look()
        await self._each(self._unpaused(loaded=False), self._load)
        for position, runs in sorted(self._ready().items()):
            await self._advance(position, runs)
        is_behind = self._has_moved or bool(self._unpaused(loaded=False))  # such as after a conflict
        return is_behind or any(part.is_due for part in self.parts.values())

    @property
    def is_paused(self) -> bool:
        """True if a track that this process may move waits until the store works again."""
        return any(run.lease.active and not run.is_loaded for run in self.runs.values())

    async def standing(self, key: str) -> TrackCursor | None:
        """Return the cursor of a track, with the position in memory if this process moves it; None if it is gone."""
        run = self.runs.get(key)
        if run is not None and run.lease.active and run.is_loaded:
            return TrackCursor(run.position, failure=run.failure)
        stored = await self._cursors.load(key)
        return None if stored is None else stored.cursor

    async def wait(self, most: float = inf) -> None:
        """Wait until there may be something to do, at most for a ``poll``, or for so many seconds."""
        ready, seconds = self._ready(), min(most, await self._seconds_to_wait())
        wait: Callable[[], Awaitable[None]] = partial(anyio.sleep, seconds)
        if ready:
            wait = partial(self._store.events.wait, min(ready), seconds)
        await self._wakeup.interrupt(wait)

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds, or until `wake`."""
        await self._wakeup.interrupt(partial(anyio.sleep, seconds))

    async def _open_parts(self) -> None:
        for part in self.parts.values():
            if part.is_due:
                tracks = {track.key: track for track in await part.open()}
                for key, track in tracks.items():
                    if key not in self.runs:
                        lease = TrackLease(self._store.locks, key, self._options.lease, self._log)
                        self.runs[key] = TrackRun(track, self._store, lease, self._options.backoff, self._log)
                await self._drop(part.name, tracks)  # behind it: a part is never without tracks to one that looks
                self._look_at = 0.0

    async def _drop(self, source: str, keys: Container[str]) -> None:
        """Drop the tracks of a source that it does not name any more."""
        for key, run in [*self.runs.items()]:
            if run.track.part == source and key not in keys:
                del self.runs[key]
                await run.lease.release()

    async def _look(self) -> None:
        """Try to get leases, save positions that moved in memory, and forget cursors of a second process."""
        self._look_at = anyio.current_time() + spread(self._options.poll, JITTER)
        for run in self.runs.values():
            if await run.lease.acquire():
                self._leases.begin()
            else:
                run.forget()
        self._notes.tell(self.runs.values())
        await self._each(self._unpaused(), TrackRun.save)
        bodies = await self._cursors.bodies([key for key, run in self.runs.items() if run.is_loaded])
        for key, run in self.runs.items():
            if run.is_loaded and run.body != bodies.get(key):
                run.forget()

    async def _load(self, run: TrackRun) -> None:
        """Load a cursor; ask the source for its tracks again if there is none."""
        self._has_moved = True
        if not await run.load():
            self.reopen(run.track.part)

    async def _advance(self, position: int, runs: Sequence[TrackRun]) -> None:
        """Move the tracks at one position by a page."""
        page = await self._reader.page(position)
        self._has_moved = self._has_moved or not page.is_last  # behind the last page, `wait` looks for more
        await self._each(runs, partial(self._move, page))

    async def _move(self, page: LogPage, run: TrackRun) -> None:
        """Move a track by a page, and do what is to be done at the end of the log."""
        if page.events:
            run.has_arrived = False
            await run.advance(page.events, page.end)
            self._has_moved = self._has_moved or run.has_appended
        if not page.is_last or run.failure is not None:
            return
        self._has_moved = await run.do_due() or self._has_moved
        if not run.has_arrived:
            if await run.track.at_end():
                self.reopen(run.track.part)
            run.has_arrived = True  # behind it, so that it is done again after an error

    async def _seconds_to_wait(self) -> float:
        """Return the seconds until a look, the end of a pause, or a due time."""
        seconds = [self._look_at - anyio.current_time()]
        seconds += [pause for part in self.parts.values() if (pause := part.seconds_to_retry())]
        for run in self.runs.values():
            if run.lease.active:
                seconds.append(await self._seconds_of(run))
        return max(0.0, min(seconds))

    async def _seconds_of(self, run: TrackRun) -> float:
        pause = run.seconds_to_retry()
        if pause or not run.is_loaded:
            return pause
        due = await run.track.next_due()
        return inf if due is None else due - self._store.clock()

    def _held_leases(self) -> Iterator[TrackLease]:
        return (run.lease for run in self.runs.values() if run.lease.active)

    def _unpaused(self, *, loaded: bool = True) -> list[TrackRun]:
        """Return the tracks that this process may move, the loaded ones or the rest."""
        held = [run for run in self.runs.values() if run.lease.active and run.is_loaded is loaded]
        return [run for run in held if not run.seconds_to_retry()]

    def _ready(self) -> dict[int, list[TrackRun]]:
        """Return the tracks that can be moved now, by their positions."""
        found = defaultdict[int, list[TrackRun]](list)
        for run in self._unpaused():
            found[run.position].append(run)
        return found

    async def _each(self, runs: Sequence[TrackRun], action: Callable[[TrackRun], Awaitable[Any]]) -> None:
        """Do something with each track, side by side, so that a store can commit it together; see `attempt`."""
        if len(runs) == 1:
            await runs[0].attempt(action, runs[0])
        elif runs:
            try:
                async with anyio.create_task_group() as tasks:
                    for run in runs:
                        tasks.start_soon(run.attempt, action, run)
            except ExceptionGroup as group:  # each track may tell of the misuse of the store
                raise group.exceptions[0] from None

    async def _close(self) -> None:
        runs, self.runs = self.runs, {}
        for part in self.parts.values():
            part.close()
        for run in runs.values():
            run.forget()
            if run.lease.active:
                await run.lease.release()
