"""Retention: deleting rows that have expired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import anyio

from modd.stores.postgres.base import NOW, Store
from modd.stores.postgres.feed_operations import FeedTable
from modd.stores.postgres.session import Operation, Parameters, Session
from modd.stores.retention import INTERVAL, PAUSE, sweep_at_intervals

STEP = 1_000
"""Most rows that are deleted in one commit."""


# the time is in a query of its own, so that it is asked for once, and the index searched for it; rows that are locked
# are about to change, or are deleted by another process
CACHE = f"""DELETE FROM modd.cache WHERE key = ANY (ARRAY(
    SELECT key FROM modd.cache WHERE until <= (SELECT {NOW}) LIMIT {STEP} FOR UPDATE SKIP LOCKED))"""


LOCKS = f"""DELETE FROM modd.locks WHERE key = ANY (ARRAY(
    SELECT key FROM modd.locks WHERE until <= (SELECT {NOW}) LIMIT {STEP} FOR UPDATE SKIP LOCKED))"""


INBOX = f"""DELETE FROM modd.inbox WHERE id = ANY (ARRAY(
    SELECT id FROM modd.inbox WHERE at <= (SELECT {NOW} - %s) LIMIT {STEP} FOR UPDATE SKIP LOCKED))"""


LEFT = f"""DELETE FROM modd.left_items WHERE place = ANY (ARRAY(
    SELECT place FROM modd.left_items AS gone WHERE due <= (SELECT {NOW})
    AND NOT EXISTS (SELECT FROM modd.items WHERE items.place = gone.place) LIMIT {STEP} FOR UPDATE SKIP LOCKED))"""
"""Rows of left items that were settled or cancelled since."""


class HasRemovedItems(Protocol):
    """A feed, whose removed items stay in the table until they are deleted."""

    operations: FeedTable


class ExpirySweeper:
    """Deletes expired cache values, ended locks, ids older than the retention of the inbox, and removed feed items.

    It works in small steps, so that it blocks no other writer for long. Autovacuum frees the space.

    retention: seconds for which the inbox remembers an id. feeds: the feeds of the store, by name; the store adds to
    them. interval: seconds between two sweeps.
    """

    def __init__(
        self, store: Store, retention: float, feeds: Mapping[str, HasRemovedItems], interval: float = INTERVAL
    ) -> None:
        self._store, self._retention, self._feeds, self._interval = store, retention, feeds, interval

    async def run(self) -> None:
        """Sweep at each interval until the store is closed; errors are logged (logger ``modd.stores``)."""
        await sweep_at_intervals(self._store.name, self._interval, self.sweep)

    async def sweep(self) -> int:
        """Delete all rows that have expired, and return their number. Raises `modd.ports.StoreError`."""
        deletions: list[tuple[Operation, object, object]] = [
            (delete_rows, CACHE, ()),
            (delete_rows, LOCKS, ()),
            (delete_rows, INBOX, (self._retention,)),
            (delete_rows, LEFT, ()),
            *[(delete_removed, feed.operations, STEP) for feed in self._feeds.values()],
        ]
        return sum([await self._repeat(*deletion) for deletion in deletions])

    async def _repeat(self, operation: Operation, *arguments: object) -> int:
        """Run an operation, each time in a commit, until it has nothing left to delete; return the number of rows."""
        total = 0
        while True:
            access = self._store.access("retention", at_once=True)
            deleted: int = await access.write_for_result("retention", operation, *arguments)
            total += deleted
            if deleted < STEP:
                return total
            await anyio.sleep(PAUSE)


async def delete_removed(session: Session, operations: FeedTable, limit: int) -> int:
    """Delete removed items of a feed, up to a limit, and return their number."""
    return await operations.delete_removed(session, limit)


async def delete_rows(session: Session, sql: str, parameters: Parameters = ()) -> int:
    """Delete up to `STEP` expired rows of a table, and return their number."""
    return await session.count(sql, parameters)
