"""Retention: deleting rows that have expired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import anyio

from modd.stores.retention import INTERVAL, PAUSE, sweep_at_intervals
from modd.stores.sqlite.base import Store
from modd.stores.sqlite.sql import CallArgs, Connection

STEP = 200
"""Most rows of each table that are deleted in one commit."""


CACHE = f"DELETE FROM modd_cache WHERE key IN (SELECT key FROM modd_cache WHERE until <= ? LIMIT {STEP})"


LOCKS = f"DELETE FROM modd_locks WHERE key IN (SELECT key FROM modd_locks WHERE until <= ? LIMIT {STEP})"


INBOX = f"DELETE FROM modd_inbox WHERE id IN (SELECT id FROM modd_inbox WHERE at <= ? LIMIT {STEP})"


LEFT = f"""DELETE FROM modd_left WHERE place IN (SELECT place FROM modd_left WHERE due <= ?
    AND NOT EXISTS (SELECT 1 FROM modd_items WHERE modd_items.place = modd_left.place) LIMIT {STEP})"""
"""Rows of left items that were settled or cancelled since."""


class SupportsDeletion(Protocol):
    """A part of the store whose removed items stay in the file until they are deleted, such as a feed."""

    def delete_removed(self, connection: Connection, now: float, limit: int) -> int:
        """Delete removed items, up to a limit, and return their number; called in the writer's thread."""
        ...


class Sweeper:
    """Deletes expired cache values, ended locks, ids older than the retention of the inbox, and removed feed items.

    It works in small steps, so that it blocks no other writer for long. SQLite uses the freed pages for the next
    writes; the file does not shrink. To shrink it, run ``VACUUM`` by hand: it rewrites the file, and blocks every
    reader and writer meanwhile.

    retention: seconds for which the inbox remembers an id. interval: seconds between two sweeps.
    feeds: the feeds of the store, by name; the store adds to them.
    """

    def __init__(
        self,
        store: Store,
        retention: float,
        interval: float = INTERVAL,
        feeds: Mapping[str, SupportsDeletion] = MappingProxyType({}),
    ) -> None:
        self._store, self._retention, self._interval, self._feeds = store, retention, interval, feeds

    async def run(self) -> None:
        """Sweep at each interval until the store is closed; errors are logged (logger ``modd.stores``)."""
        await sweep_at_intervals(self._store.name, self._interval, self.sweep)

    async def sweep(self) -> int:
        """Delete all rows that have expired, and return their number. Raises `modd.ports.StoreError`."""
        total = 0
        while True:
            deleted, is_complete = await self._step()
            total += deleted
            if is_complete:
                return total
            await anyio.sleep(PAUSE)

    async def _step(self) -> tuple[int, bool]:
        now = self._store.clock()
        access = self._store.access("retention", at_once=True)
        result: tuple[int, bool] = await access.write_for_result(
            "retention", delete_expired, now, now - self._retention, [*self._feeds.values()]
        )
        return result


def delete_expired(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[tuple[int, bool]]:
    """Delete up to `STEP` expired rows of each table; return their number, and True if none are left.

    Each call has the time now, the time up to which ids of the inbox have expired, and feeds.
    """
    return [_delete_expired(connection, *call) for call in calls]


def _delete_expired(
    connection: Connection, now: float, inbox_until: float, feeds: Sequence[SupportsDeletion]
) -> tuple[int, bool]:
    statements = ((CACHE, now), (LOCKS, now), (INBOX, inbox_until), (LEFT, now))
    deleted = [connection.execute(sql, (until,)).rowcount for sql, until in statements]
    deleted += [feed.delete_removed(connection, now, STEP) for feed in feeds]
    return sum(deleted), max(deleted) < STEP
