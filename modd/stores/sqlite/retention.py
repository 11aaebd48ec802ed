"""Retention: deleting rows that have expired."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio

from modd.stores.sqlite.base import Store
from modd.stores.sqlite.errors import StoreClosed
from modd.stores.sqlite.sql import CallArgs, Connection

INTERVAL = 60.0
"""Seconds between two sweeps."""


PAUSE = 0.02
"""Seconds between two steps of a sweep, in which other callers write."""


STEP = 200
"""Most rows of each table that are deleted in one commit."""


CACHE = f"DELETE FROM modd_cache WHERE key IN (SELECT key FROM modd_cache WHERE until <= ? LIMIT {STEP})"


LOCKS = f"DELETE FROM modd_locks WHERE key IN (SELECT key FROM modd_locks WHERE until <= ? LIMIT {STEP})"


INBOX = f"DELETE FROM modd_inbox WHERE id IN (SELECT id FROM modd_inbox WHERE at <= ? LIMIT {STEP})"


LEFT = f"""DELETE FROM modd_left WHERE place IN (SELECT place FROM modd_left WHERE due <= ?
    AND NOT EXISTS (SELECT 1 FROM modd_items WHERE modd_items.place = modd_left.place) LIMIT {STEP})"""
"""Rows of left items that were settled or cancelled since."""


_log = logging.getLogger("modd.stores")


class Sweeper:
    """Deletes expired values of the cache, locks that have ended, and ids older than the retention of the inbox.

    It works in small steps, so that it blocks no other writer for long. SQLite uses the freed pages for the next
    writes; the file does not shrink. To shrink it, run ``VACUUM`` by hand: it rewrites the file, and blocks every
    reader and writer meanwhile.

    retention: seconds for which the inbox remembers an id. interval: seconds between two sweeps.
    """

    def __init__(self, store: Store, retention: float, interval: float = INTERVAL) -> None:
        self._store, self._retention, self._interval = store, retention, interval

    async def run(self) -> None:
        """Sweep at each interval until the store is closed; errors are logged (logger ``modd.stores``)."""
        while True:
            await anyio.sleep(self._interval)
            try:
                await self.sweep()
            except StoreClosed:
                return
            except Exception:
                _log.exception(
                    "%s: could not delete expired rows; trying again in %g s", self._store.name, self._interval
                )

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
            "retention", delete_expired, now, now - self._retention
        )
        return result


def delete_expired(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[tuple[int, bool]]:
    """Delete up to `STEP` expired rows of each table; return their number, and True if none are left.

    Each call has the time now, and the time up to which ids of the inbox have expired.
    """
    return [_delete_expired(connection, *call) for call in calls]


def _delete_expired(connection: Connection, now: float, inbox_until: float) -> tuple[int, bool]:
    statements = ((CACHE, now), (LOCKS, now), (INBOX, inbox_until), (LEFT, now))
    deleted = [connection.execute(sql, (until,)).rowcount for sql, until in statements]
    return sum(deleted), max(deleted) < STEP
