"""Instances of flows that are set aside: they are listed, resumed, and made to skip an event, by the names alone."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from modd.follower.cursor import Cursors
from modd.follower.errors import NotStuck
from modd.follower.instances import FlowDocuments, FlowInstance, InstanceFailure
from modd.follower.log_reader import LogReader
from modd.ports.storage import Storage

MOST_LISTED = 100
"""Instances of a page."""


class Stuck(msgspec.Struct, frozen=True):
    """An instance of a flow that is set aside, because a function has failed.

    id: the key of the instance: its identity, with the tenant in front if it has one.
    event: the name of the event that it has failed at, or the name of the timeout.
    position: the position of that event in the log; None for a timeout.
    reason: type and text of the error.
    waiting: number of events and timeouts that wait, the failed one included.
    attempts: number of failed attempts.
    retry_at: the time of the next attempt, in seconds since 1970; None if there is none until it is resumed.
    """

    id: str
    event: str
    position: int | None
    reason: str
    waiting: int
    attempts: int
    retry_at: float | None


class StuckInstances:
    """The instances of a flow that are set aside.

    store: the store. flow: the name of the flow.
    """

    def __init__(self, store: Storage, flow: str) -> None:
        self._store, self._flow = store, flow
        self._documents, self._cursors = FlowDocuments(store, flow), Cursors(store)
        self._reader = LogReader(store.events, None)

    async def all(self) -> list[Stuck]:
        """Return all of them, ordered by their keys."""
        found: list[Stuck] = []
        after = ""
        while page := await self._documents.stuck(after, MOST_LISTED):
            # the index was read before the instances, so that one may have gone on meanwhile
            stuck = [(key, instance) for key, instance in page.items() if instance.failure is not None]
            found += [await self._describe(key, instance) for key, instance in stuck]
            after = [*page][-1]
        return found

    async def resume(self, key: str) -> None:
        """Have an instance try again now, as if it had not failed before. Raises `NotStuck`."""
        await self._change(key, self._resumed)

    async def skip(self, key: str) -> None:
        """Have an instance pass over the event that it has failed at, and go on. Raises `NotStuck`."""
        await self._change(key, self._skipped)

    async def _change(self, key: str, change: Callable[[FlowInstance, InstanceFailure], FlowInstance | None]) -> None:
        """Change an instance while no follower does, and move the cursor, so that a follower loads it anew."""
        async with self._store.transaction(immediate=True):
            instance = (await self._documents.get_many([key])).get(key)
            if instance is None or instance.failure is None:
                raise NotStuck(self._flow, f"the instance {key!r}", [*await self._documents.stuck("", MOST_LISTED)])
            await self._cursors.touch(f"flow {self._flow}")
            await self._documents.write(key, instance, change(instance, instance.failure))

    def _resumed(self, instance: FlowInstance, failure: InstanceFailure) -> FlowInstance:
        failure = InstanceFailure(failure.reason, 0, self._store.clock())
        return msgspec.structs.replace(instance, failure=failure)

    def _skipped(self, instance: FlowInstance, failure: InstanceFailure) -> FlowInstance | None:
        waiting = instance.waiting[1:]
        instance = msgspec.structs.replace(instance, waiting=waiting)
        if waiting:
            return self._resumed(instance, failure)
        return None if instance.phase == "new" else msgspec.structs.replace(instance, failure=None)

    async def _describe(self, key: str, instance: FlowInstance) -> Stuck:
        failure, first = instance.failure, instance.waiting[0]
        assert failure is not None  # the index has only those
        position = first.position if first.timeout is None else None
        event = first.timeout if first.timeout is not None else (await self._reader.event(first.position)).type
        waiting = len(instance.waiting)
        return Stuck(key, event, position, failure.reason, waiting, failure.attempts, failure.retry_at)


async def skip_event(store: Storage, part: str, position: int | None) -> None:
    """Have a part pass over the event before which it stands. Raises `NotStuck`.

    part: the name of the flow or the projection. position: that of the event.
    """
    cursors = Cursors(store)
    async with store.transaction(immediate=True):
        keys = [key for key in await cursors.all() if key.split(" ")[1] == part]
        skipped = [await cursors.skip(key, position) for key in keys]
    if not any(skipped):
        raise NotStuck(part, f"the event {position}")
