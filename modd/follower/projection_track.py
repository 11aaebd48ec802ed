"""Projections as tracks: each build has a cursor, and is moved by processes with its version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from logging import Logger
from typing import Any

from modd.cqrs.wire import name_in
from modd.errors import InvalidOption
from modd.follower.build_notes import BuildNotes, tables_noted
from modd.follower.cursor import SPACE, Cursors
from modd.follower.track import INLINE, EventFailure, LoggedEvent
from modd.ports.errors import Conflict
from modd.ports.storage import Storage
from modd.ports.transaction import Transaction, current_transaction
from modd.projection.builds import WITHOUT_SQL, Build, Builds, Registration, check_newest_version, cursor_key, opened
from modd.projection.content import Changes, Memory, Positioned
from modd.projection.projection import Projection
from modd.stores import MemoryStore

LAST_PAGE = 1_000
"""Most events that are done in the commit that switches to a build which is written inline from then on."""


class ProjectionBatch:
    """The writes of a projection for some events.

    changes: the writes. undecodable: the event behind them that cannot be decoded, or None. memory: that of the track.
    """

    has_appended = False  # a projection only reads the log

    def __init__(self, changes: Changes, undecodable: EventFailure | None, memory: Memory) -> None:
        self._changes, self._undecodable, self._memory = changes, undecodable, memory

    @property
    def failed(self) -> EventFailure | None:
        """The first event that could not be done."""
        failed = self._changes.failed
        return self._undecodable if failed is None else EventFailure(failed.position, failed.error)

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to write."""
        return self._changes.is_empty

    async def write(self) -> None:
        """Write in the open transaction."""
        await self._changes.write(current_transaction("a projection"))

    def done(self) -> None:
        """Keep in memory what was written."""
        self._changes.done(self._memory)


class ProjectionTrack:
    """One build of a projection, as it moves along the log.

    projection: the projection. build: the build. source: switches to the build when it has come to the end of the log.
    store: the store.
    """

    def __init__(self, projection: Projection[Any], build: Build, source: ProjectionSource, store: Storage) -> None:
        self.key, self.part, self.types = cursor_key(projection.name, build.number), projection.name, projection.types
        self.build = build
        self._projection, self._source, self._store = projection, source, store
        self._memory: Memory = {}

    async def prepare(self, events: Sequence[LoggedEvent]) -> ProjectionBatch:
        """Decide about events, without writing. An event that tells no type is not of a codec, and is passed over."""
        decoded, failed = self._decode([each for each in events if each.type])
        memory = self._memory
        changes = await self._projection.content.decide(self._store, self.build.number, decoded, memory)
        return ProjectionBatch(changes, failed, memory)

    async def next_due(self) -> float | None:
        """Return None: nothing is ever due."""
        return None

    async def prepare_due(self, now: float) -> ProjectionBatch:
        """Return a batch without writes."""
        return await self.prepare(())

    async def at_end(self) -> bool:
        """Have the build serve if it is the next one; True if the builds have changed."""
        return await self._source.switch_to(self)

    def forget(self) -> None:
        """Drop the states in memory."""
        self._memory = {}

    def _decode(self, events: Sequence[LoggedEvent]) -> tuple[list[Positioned], EventFailure | None]:
        """Return the events that the projection has functions for, up to the first that cannot be decoded."""
        functions, codec = self._projection.events, self._projection.codec
        with suppress(Exception):  # one of them cannot be decoded: look at each
            messages = codec.decode_messages([each.body for each in events])
            pairs = zip(events, messages, strict=True)
            return [(each.position, message) for each, message in pairs if type(message) in functions], None
        return self._decode_singly(events)

    def _decode_singly(self, events: Sequence[LoggedEvent]) -> tuple[list[Positioned], EventFailure | None]:
        functions, codec = self._projection.events, self._projection.codec
        decoded = list[Positioned]()
        for each in events:
            try:
                message = codec.decode_message(each.body)
            except Exception as error:
                return decoded, EventFailure(each.position, error)
            if type(message) in functions:
                decoded.append((each.position, message))
        return decoded, None


class ProjectionSource:
    """A projection as a part of a follower: it tells which builds this process moves.

    projection: the projection. store: the store. log: told of builds, and once if this process has an older version.

    Raises `InvalidOption` for tables in a store without SQL.
    """

    def __init__(self, projection: Projection[Any], store: Storage, log: Logger) -> None:
        if projection.tables is not None and isinstance(store, MemoryStore):
            raise InvalidOption("tables", [*projection.tables], WITHOUT_SQL)
        self.projection, self.name = projection, projection.name
        self._store, self._log = store, log
        self._builds = Builds(store, projection.name, projection.content)
        self._cursors = Cursors(store)
        self.registration: Registration | None = None
        """The builds as they were when they were opened."""
        self._notes = BuildNotes(projection, log)

    async def live(self) -> str | None:
        """Return the key of the cursor of the build that serves; None before, `INLINE` if it has none."""
        registration = await self._builds.load()
        if registration is None:
            return None
        return INLINE if registration.inline else cursor_key(self.name, registration.live.number)

    def again(self) -> ProjectionSource:
        """Return the projection as the source of a separate engine."""
        return ProjectionSource(self.projection, self._store, self._log)

    async def open(self) -> Sequence[ProjectionTrack]:
        """Return the builds of this version that followers move; begin one if the store has only older versions."""
        registration = await self._change(self._opened)
        await self._delete_old_builds(registration)
        self._notes.tell_outdated(registration)
        self.registration = registration
        return [self._track(build) for build in registration.followed if build.version == self.projection.version]

    async def load(self) -> Registration:
        """Return the builds as they are now."""
        registration = await self._builds.load()
        assert registration is not None  # it was made before, and nothing removes it
        return registration

    def check_newest(self) -> None:
        """Raise `OutdatedProjection` if the store had a newer version when the builds were opened."""
        assert self.registration is not None
        check_newest_version(self.name, self.projection.version, self.registration)

    async def begin_rebuild(self) -> Build:
        """Begin a build beside the live one, or return the build that was begun. Raises `OutdatedProjection`."""
        self.registration = await self._change(self._rebuilding)
        return self.registration.builds[-1]

    async def switch_to(self, track: ProjectionTrack) -> bool:
        """Have the build of a track serve if it is the next one; True if the builds have changed."""
        if self.registration is None or self.registration.next != track.build:
            return False
        async with self._store.transaction(immediate=True) as transaction:
            before = after = await self.load()
            if before.next == track.build:
                if before.inline and not await self._do_last_events(track):
                    return False  # the engine does them, and comes back
                after = before.switched()
                await self._write(transaction, before, after)
        self._notes.tell_changes(before, after, await self._store.events.last())
        await self._delete_old_builds(await self.load())
        return True

    async def _do_last_events(self, track: ProjectionTrack) -> bool:
        """Do the events that are left, while no other can record any: the next ones come in their own commit.

        Return False if there are too many, or one of them fails.
        """
        stored = await self._cursors.load(track.key)
        rows = [] if stored is None else await self._store.events.page(stored.cursor.position, LAST_PAGE)
        events = [LoggedEvent(position, name_in(body), body, headers) for position, body, headers in rows]
        batch = await track.prepare([each for each in events if each.type in track.types])
        if len(rows) == LAST_PAGE or batch.failed is not None:
            return False
        await batch.write()
        return True

    def _track(self, build: Build) -> ProjectionTrack:
        return ProjectionTrack(self.projection, build, self, self._store)

    def _opened(self, before: Registration | None) -> Registration:
        return opened(before, self.projection.version, self.projection.content.tables)

    def _rebuilding(self, before: Registration | None) -> Registration:
        after = self._opened(before)
        check_newest_version(self.name, self.projection.version, after)
        is_new = before is None  # the first build is not there yet
        return after if is_new or after.next else after.with_next(self.projection.version, after.live.tables)

    async def _change(self, step: Callable[[Registration | None], Registration]) -> Registration:
        """Change the builds in one commit, anew if a second process was faster; return the builds afterwards."""
        while True:
            before = await self._builds.load()
            after = step(before)
            if after == before:
                return after
            with suppress(Conflict), tables_noted(self.projection):
                async with self._store.transaction() as transaction:
                    await self._write(transaction, before, after)
                self._notes.tell_changes(before, after, await self._store.events.last())
                return after

    async def _write(self, transaction: Transaction, before: Registration | None, after: Registration) -> None:
        """Write the builds, and a cursor for each that followers move."""
        await self._builds.change(transaction, before, after)
        earlier, later = (
            {cursor_key(self.name, build.number) for build in (() if each is None else each.followed)}
            for each in (before, after)
        )
        for key in sorted(later - earlier):
            await self._cursors.create(key)
        for key in sorted(earlier - later):
            await self._store.documents(SPACE).delete(key)

    async def _delete_old_builds(self, registration: Registration) -> None:
        for build in registration.dropping:
            await self._builds.delete(build)
            await self._change(partial(_without, build))


def _without(build: Build, before: Registration | None) -> Registration:
    """Return the builds without one whose content was deleted."""
    assert before is not None  # nothing removes a registration
    return before.without(build)
