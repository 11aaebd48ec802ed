"""Changes to flows and projections: to resume, to skip, and to rebuild."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modd.cli.reasons import Reasons
from modd.follower import Follower, NotStuck, PartStopped
from modd.follower.log_reader import LogReader
from modd.follower.stuck import StuckInstances, skip_event
from modd.projection import Projection
from modd.stores.sqlite.store import SqliteStore


async def resume_instances(
    path: str, flow: str, keys: Sequence[str], advance: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Have instances of a flow try again, and return the keys of those that are not set aside.

    Instances that were resumed before a cancellation stay so. advance: called with 1 after each.
    """
    missing = list[str]()
    async with SqliteStore(path) as store:
        instances = StuckInstances(store, flow)
        for key in keys:
            try:
                await instances.resume(key)
            except NotStuck:
                missing.append(key)
            advance(1)
    return missing


async def skip_in(path: str, part: str, key: str | None, position: int | None) -> None:
    """Have an instance of a flow, or with None the whole part, pass over an event. Raises `NotStuck`."""
    async with SqliteStore(path) as store:
        if key is None:
            await skip_event(store, part, position)
        else:
            await StuckInstances(store, part).skip(key)


async def rebuild_projection(
    path: str, projection: Projection[Any], advance: Callable[[int], None] = lambda _: None
) -> int:
    """Build a projection anew, until the new build serves; return its position in the log.

    Raises `PartStopped`, `OutdatedProjection`.

    advance: called with the number of events that were passed since the last call.
    """
    done = 0

    def report(position: int, total: int) -> None:
        nonlocal done
        advance(max(0, position - done))
        done = max(done, position)

    async with SqliteStore(path) as store:
        try:
            await Follower(store, [projection]).rebuild(projection, report)
        except PartStopped as stopped:
            raise await _masked(stopped, projection, store) from None
    return done


async def _masked(stopped: PartStopped, projection: Projection[Any], store: SqliteStore) -> PartStopped:
    """Return the error without values of sensitive fields."""
    event = await LogReader(store.events, None).event(stopped.position)
    reason = Reasons([projection.codec]).mask(stopped.reason, event.body)
    return PartStopped(stopped.part, stopped.position, reason)
