"""The flows and projections in a file: their places in the log, their instances and builds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modd.cli.errors import NoSuchPart
from modd.cli.file_storage import FileStorage
from modd.cli.follow_reports import (
    BuildStatus,
    FlowStatus,
    InstanceCounts,
    ProjectionStatus,
    Standstill,
    TrackStatus,
    UnopenedPart,
)
from modd.cli.inspection import Inspector
from modd.cli.reasons import Reasons
from modd.follower import Stuck
from modd.follower.cursor import CursorFailure, Cursors, TrackCursor
from modd.follower.instances import FlowDocuments
from modd.follower.opening_notes import OpeningNotes
from modd.projection.builds import REGISTRY, Build, Registration, cursor_key
from modd.projection.builds import decode as decode_registration

PAGE = 1_000
"""Documents that are read at once."""


FLOW = "flow "
"""The beginning of the keys of flows among the cursors."""


class Parts:
    """The flows and projections in a file.

    inspector: reads the file. reasons: masks the reasons of failures.
    """

    def __init__(self, inspector: Inspector, reasons: Reasons) -> None:
        self._path, self._clock, self._reasons = inspector.path, inspector.clock, reasons
        self._is_empty = inspector.version < 2  # the first version of the schema had no documents
        self._storage = FileStorage(inspector)
        self._any_storage: Any = self._storage

    async def last(self) -> int:
        """Return the position of the last event."""
        return await self._storage.events.last()

    async def flows(self, most_stuck: int) -> list[FlowStatus]:
        """Return the flows, each with the first instances that are set aside."""
        cursors = await self._cursors()
        return [await self._flow(name, cursors[FLOW + name], most_stuck) for name in await self.flow_names()]

    async def projections(self) -> list[ProjectionStatus]:
        """Return the projections."""
        cursors = await self._cursors()
        return [
            await self._projection(name, registration, cursors)
            for name, registration in (await self._registrations()).items()
        ]

    async def unopened(self) -> list[UnopenedPart]:
        """Return the parts that a process could not open."""
        failures = {} if self._is_empty else await OpeningNotes(self._any_storage).all()
        return [
            UnopenedPart(name, self._reasons.mask(each.reason, None), each.attempts, each.retry_at)
            for name, each in failures.items()
        ]

    async def check(self, name: str, *, flow: bool = False) -> None:
        """Raise `NoSuchPart` unless there is a part of this name. flow: True if it has to be a flow."""
        flows = await self.flow_names()
        names = flows if flow else [*flows, *await self._registrations()]
        if name not in names:
            raise NoSuchPart("flow" if flow else "flow or projection", name, self._path, sorted(names))

    async def flow_names(self) -> list[str]:
        """Return the names of the flows."""
        return sorted(key.removeprefix(FLOW) for key in await self._cursors() if key.startswith(FLOW))

    async def stuck_keys(self, flow: str) -> list[str]:
        """Return the keys of the instances of a flow that are set aside."""
        documents, keys = FlowDocuments(self._any_storage, flow), list[str]()
        while page := await documents.stuck(keys[-1] if keys else "", PAGE):
            keys += page
        return keys

    async def stuck(self, flow: str, limit: int) -> tuple[int, list[Stuck]]:
        """Return the number of instances of a flow that are set aside, and the first of them."""
        keys = await self.stuck_keys(flow)
        found = [await self.instance(flow, key) for key in keys[:limit]]
        return len(keys), [each for each in found if each is not None]

    async def instance(self, flow: str, key: str) -> Stuck | None:
        """Return an instance that is set aside; None for any other."""
        instance = (await FlowDocuments(self._any_storage, flow).get_many([key])).get(key) if key else None
        if instance is None or instance.failure is None or not instance.waiting:
            return None
        failure, first = instance.failure, instance.waiting[0]
        position = first.position if first.timeout is None else None
        name, body = (first.timeout or "", None) if position is None else await self._event(position)
        reason = self._reasons.mask(failure.reason, body, flow, instance)
        waiting = len(instance.waiting)
        return Stuck(key, name, position, reason, waiting, failure.attempts, failure.retry_at)

    async def builds(self, projection: str) -> tuple[Build, ...]:
        """Return the builds of a projection; none if it was never in the file."""
        registration = (await self._registrations()).get(projection)
        return () if registration is None else registration.builds

    async def is_followed(self, part: str) -> bool:
        """Return True if a process moves a flow, or a build of a projection, now."""
        keys = [key for key in await self._cursors() if _part_of(key) == part]
        return any(map(self._storage.is_leased, keys))

    async def standstill(self, part: str, position: int) -> Standstill | None:
        """Return the event at a position, if a part stands before it."""
        for key, cursor in (await self._cursors()).items():
            if _part_of(key) == part and cursor.failure is not None and cursor.failure.position == position:
                return await self._standstill(cursor.failure)
        return None

    async def _flow(self, name: str, cursor: TrackCursor, most_stuck: int) -> FlowStatus:
        documents = FlowDocuments(self._any_storage, name)
        counts, version = await _count(documents)
        entries = await documents.due(1)
        return FlowStatus(
            name,
            await self._track(FLOW + name, cursor),
            version,
            counts,
            entries[0].due if entries else None,
            (await self.stuck(name, most_stuck))[1],
        )

    async def _projection(
        self, name: str, registration: Registration, cursors: Mapping[str, TrackCursor]
    ) -> ProjectionStatus:
        following = registration.next
        return ProjectionStatus(
            name,
            await self._build(name, registration.live, cursors),
            None if following is None else await self._build(name, following, cursors),
            [build.number for build in registration.dropping],
        )

    async def _build(self, name: str, build: Build, cursors: Mapping[str, TrackCursor]) -> BuildStatus:
        key = cursor_key(name, build.number)
        return BuildStatus(
            build.number, build.version, await self._track(key, cursors[key]) if key in cursors else None
        )

    async def _track(self, key: str, cursor: TrackCursor) -> TrackStatus:
        last, at = await self.last(), await self._storage.events.time_behind(cursor.position)
        return TrackStatus(
            cursor.position,
            max(0, last - cursor.position),
            0.0 if at is None else max(0.0, self._clock() - at),
            self._storage.is_leased(key),
            None if cursor.failure is None else await self._standstill(cursor.failure),
        )

    async def _standstill(self, failure: CursorFailure) -> Standstill:
        type, body = await self._event(failure.position)
        reason = self._reasons.mask(failure.reason, body)
        return Standstill(failure.position, type, reason, failure.attempts, failure.retry_at)

    async def _event(self, position: int) -> tuple[str, bytes]:
        event = await self._storage.events.event(position)
        return event.type, event.body

    async def _cursors(self) -> dict[str, TrackCursor]:
        return {} if self._is_empty else await Cursors(self._any_storage).all()

    async def _registrations(self) -> dict[str, Registration]:
        found: dict[str, Registration] = {}
        documents, after = self._storage.documents(REGISTRY), ""
        while not self._is_empty and (page := await documents.items(after, PAGE)):
            found |= {key: decode_registration(body) for key, body in page}
            after = page[-1][0]
        return found


async def _count(documents: FlowDocuments) -> tuple[InstanceCounts, int | None]:
    """Count the instances of a flow; return the highest version of those that run, too."""
    running = ended = stuck = version = 0
    after = ""
    while page := await documents.page(after, PAGE):
        for instance in page.values():
            stuck += instance.failure is not None
            running += instance.failure is None and instance.phase == "running"
            ended += instance.phase == "ended"
            version = max(version, instance.version if instance.phase == "running" else 0)
        after = [*page][-1]
    return InstanceCounts(running, ended, stuck), version or None


def _part_of(key: str) -> str:
    """Return the name of the part in the key of a cursor, as ``flow fulfilment`` or ``projection sales 3``."""
    return key.partition(" ")[2].partition(" ")[0]
