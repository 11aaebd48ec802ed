"""What goes away by itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio

from modd.stores.sqlite.base import Host
from modd.stores.sqlite.errors import StoreClosed
from modd.stores.sqlite.sql import Call, Connection

EVERY = 60.0
"""Seconds from one sweep to the next."""


PAUSE = 0.02
"""Seconds from one step of a sweep to the next, so that others write between them."""


STEP = 200
"""Rows of each kind that are deleted in one commit."""


CACHE = f"DELETE FROM modd_cache WHERE key IN (SELECT key FROM modd_cache WHERE until <= ? LIMIT {STEP})"


LOCKS = f"DELETE FROM modd_locks WHERE key IN (SELECT key FROM modd_locks WHERE until <= ? LIMIT {STEP})"


INBOX = f"DELETE FROM modd_inbox WHERE id IN (SELECT id FROM modd_inbox WHERE at <= ? LIMIT {STEP})"


_log = logging.getLogger("modd.stores")


class Retention:
    """Deletes expired values of the cache, locks that ended, and ids that the inbox need not know any more.

    It does so in small steps, so that it keeps nobody waiting. The room that is freed in the file is used for what is
    written next; the file does not become smaller. ``VACUUM`` makes it so, which rewrites it and keeps all others out:
    run it by hand if ever.

    keep: for how many seconds the inbox knows an id. every: seconds from one sweep to the next.
    """

    def __init__(self, host: Host, keep: float, every: float = EVERY) -> None:
        self._host, self._keep, self._every = host, keep, every

    async def run(self) -> None:
        """Sweep again and again; what fails is logged (logger ``modd.stores``) and tried again the next time."""
        while True:
            await anyio.sleep(self._every)
            try:
                await self.sweep()
            except StoreClosed:
                return
            except Exception:
                _log.exception(
                    "%s: could not delete what is over; it is tried again in %g s", self._host.name, self._every
                )

    async def sweep(self) -> int:
        """Delete all that is over now, and return how many rows that were. Raises `modd.ports.StoreError`."""
        swept = 0
        while True:
            deleted, is_all = await self._step()
            swept += deleted
            if is_all:
                return swept
            await anyio.sleep(PAUSE)

    async def _step(self) -> tuple[int, bool]:
        now = self._host.clock()
        way = self._host.way("retention", aside=True)
        done: tuple[int, bool] = await way.answer("retention", swept, now, now - self._keep)
        return done


def swept(connection: Connection, calls: Sequence[Call]) -> Sequence[tuple[int, bool]]:
    """One step: each call has the time now, and the one until which the inbox forgets; how many, and whether all."""
    return [_swept(connection, *call) for call in calls]


def _swept(connection: Connection, now: float, forget: float) -> tuple[int, bool]:
    deleted = [connection.execute(sql, (until,)).rowcount for sql, until in _statements(now, forget)]
    return sum(deleted), max(deleted) < STEP


def _statements(now: float, forget: float) -> tuple[tuple[str, float], ...]:
    return (CACHE, now), (LOCKS, now), (INBOX, forget)
