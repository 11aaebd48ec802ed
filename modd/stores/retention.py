"""Retention: the deletion of expired rows in the background of a store."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from modd.stores.errors import StoreClosed

INTERVAL = 60.0
"""Seconds between two sweeps."""


PAUSE = 0.02
"""Seconds between two steps of a sweep, in which other callers write."""


_log = logging.getLogger("modd.stores")


async def sweep_at_intervals(store: str, interval: float, sweep: Callable[[], Awaitable[object]]) -> None:
    """Delete expired rows at each interval until the store is closed; errors are logged (logger ``modd.stores``).

    store: its name. interval: seconds between two sweeps. sweep: deletes all rows that have expired.
    """
    while True:
        await anyio.sleep(interval)
        try:
            await sweep()
        except StoreClosed:
            return
        except Exception:
            _log.exception("%s: could not delete expired rows; trying again in %g s", store, interval)
