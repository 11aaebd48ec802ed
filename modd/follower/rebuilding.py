"""Building a projection anew, beside the build that serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from logging import Logger

from modd.follower.cursor import Cursors
from modd.follower.engine import Engine, EngineOptions
from modd.follower.errors import PartStopped
from modd.follower.projection_track import ProjectionSource, ProjectionTrack
from modd.ports.errors import Conflict
from modd.ports.storage import Storage
from modd.projection.builds import Build, cursor_key


class Rebuild:
    """The build of a projection that is being made, as the only track of an engine.

    source: the projection. store: its store. options: those of the engine. log: gets failures.
    """

    def __init__(self, source: ProjectionSource, store: Storage, options: EngineOptions, log: Logger) -> None:
        self.name = source.name
        self._source, self._store = source, store
        self._engine = Engine(store, [self], options, log)
        self._cursors = Cursors(store)
        self._build: Build | None = None
        self._key = ""

    async def run(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Make a build, or continue the build that was begun, until it serves.

        progress: called with the position that the build has come to, and the last one of the log; None for no calls.

        Raises `PartStopped`, and `OutdatedProjection`.
        """
        self._build = build = await self._source.begin_rebuild()
        self._key, end, is_done = cursor_key(self.name, build.number), await self._store.events.last(), False
        await self._forget_failure()
        async with self._engine.session():
            while not is_done:
                has_moved = await self._engine.advance()
                is_done = await self._is_done(build, end)
                if progress is not None:
                    await self._report(progress, is_done)
                if not (has_moved or is_done):
                    await self._engine.wait()

    async def live(self) -> str | None:
        """Return the key of the cursor of the build that serves."""
        return await self._source.live()

    async def open(self) -> Sequence[ProjectionTrack]:
        """Return the build as the only track. Raises `OutdatedProjection` if a newer version has taken its place."""
        tracks = [track for track in await self._source.open() if track.build == self._build]
        self._source.check_newest()
        return tracks

    async def _forget_failure(self) -> None:
        """Have an event at which an earlier attempt failed tried again at once."""
        stored = await self._cursors.load(self._key)
        if stored is not None and stored.cursor.failure is not None:
            with suppress(Conflict):  # another process tries it right now
                await self._cursors.swap(self._key, stored.cursor.moved(stored.cursor.position), stored)

    async def _is_done(self, build: Build, end: int) -> bool:
        """Return True if a build serves, and has done the events up to a position. Raises the error of its opening."""
        error = self._engine.parts[self.name].error
        if error is not None:
            raise error
        run = self._engine.runs.get(self._key)
        if run is not None and run.failure is not None:
            raise PartStopped(self.name, run.failure.position, run.failure.reason)
        live = (await self._source.load()).live
        if live != build:
            return live.number > build.number  # another process has switched, and perhaps built anew since
        return await self._position() >= end

    async def _position(self) -> int:
        """Return the position that the build has come to, here or in a second process."""
        run = self._engine.runs.get(self._key)
        if run is not None and run.is_loaded:
            return run.position
        stored = await self._cursors.load(self._key)
        return await self._store.events.last() if stored is None else stored.cursor.position

    async def _report(self, progress: Callable[[int, int], object], is_done: bool) -> None:
        total = await self._store.events.last()
        progress(total if is_done else await self._position(), total)
