"""Changes to flows and projections: to resume, to skip, and to rebuild."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from modd.cli.follow_reports import RebuildResult
from modd.cli.reasons import Reasons
from modd.follower import NotStuck
from modd.follower.engine import EngineOptions
from modd.follower.log_reader import LogReader
from modd.follower.projection_track import ProjectionSource
from modd.follower.rebuilding import Rebuild
from modd.follower.stuck import StuckInstances, skip_event
from modd.projection import Projection, RebuildFailed
from modd.stores.sqlite.store import SqliteStore
from modd.worker.retry import checked_backoff

log = logging.getLogger("modd.follower")


OPTIONS = EngineOptions(None, checked_backoff("exponential"), lease=30.0, poll=1.0)
"""The options of a `modd.follower.Follower` by default."""


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
) -> RebuildResult:
    """Build a projection anew, until the new build serves. Raises `RebuildFailed`, `OutdatedProjection`.

    advance: called with the number of events that were passed since the last call.
    """
    done = 0

    def report(position: int, total: int) -> None:
        nonlocal done
        advance(max(0, position - done))
        done = max(done, position)

    async with SqliteStore(path) as store:
        source = ProjectionSource(projection, store, log)
        try:
            await Rebuild(source, store, OPTIONS, log).run(report)
        except RebuildFailed as failed:
            raise await _masked(failed, projection, store) from None
        live = (await source.load()).live
    return RebuildResult(projection.name, live.version, live.number, done)


async def _masked(failed: RebuildFailed, projection: Projection[Any], store: SqliteStore) -> RebuildFailed:
    """Return the failure of a build without values of sensitive fields."""
    event = await LogReader(store.events, None).event(failed.position)
    reason = Reasons([projection.codec]).mask(failed.reason, event.body)
    return RebuildFailed(failed.projection, failed.position, reason)
