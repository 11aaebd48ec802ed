"""The lease of a track: a lock in the store, so that one process at a time moves it.

The lease only saves work that would be in vain: the cursor alone decides which of two processes may write.
"""

from __future__ import annotations

from logging import Logger
from uuid import uuid4

import anyio

from modd.concurrency.cancellation import call
from modd.ports.locks import Locks

RELEASE_TIMEOUT = 1.0
"""Seconds that a store gets to release a lease at the end."""


def lease_key(track: str) -> str:
    """Return the key of the lease of a track among the locks of a store."""
    return f"modd track {track}"


class TrackLease:
    """A lease, as `modd.concurrency.lease.LeaseKeeper` renews it.

    locks: those of the store. key: that of the track. seconds: the length of the lease. log: gets failures.
    """

    def __init__(self, locks: Locks, key: str, seconds: float, log: Logger) -> None:
        self._locks, self._key, self._seconds, self._log = locks, lease_key(key), seconds, log
        self._token = uuid4().hex
        self.active = False
        """True while this process has the lease."""
        self.until = 0.0

    @property
    def name(self) -> str:
        """The words for the lease in the log."""
        return f"the lease {self._key!r}"

    async def acquire(self) -> bool:
        """Try once to get the lease; True if this process has it."""
        if not self.active:
            self.until = anyio.current_time() + self._seconds
            self._token = uuid4().hex
            self.active = await self._locks.acquire(self._key, self._seconds, self._token)
        return self.active

    async def renew(self) -> bool:
        """Ask the store to renew the lease; return False if a second process has it."""
        return await self._locks.renew(self._key, self._seconds, self._token)

    def lose(self) -> None:
        """Note that a second process may have the lease."""
        if self.active:
            self.active = False
            self._log.warning("%s was lost: another process goes on", self.name)

    async def release(self) -> None:
        """Release the lease at the end, also where it is uncertain that it was acquired."""
        self.active = False
        with anyio.move_on_after(RELEASE_TIMEOUT, shield=True):
            try:
                await call(self._locks.release, self._key, self._token)
            except Exception:
                self._log.warning("%s was not released; it ends by itself", self.name, exc_info=True)
