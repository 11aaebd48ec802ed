"""A lock for as long as a dispatch goes on (MI-33)."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import anyio

from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import LockTimeout
from modd.errors import ModdError
from modd.middleware.backoff import INSTANT
from modd.ports.locks import Locks

SHARE = 3
"""A lock is renewed so many times in its time to live, so that it is kept if one of them fails."""


class LockLost(ModdError, RuntimeError):
    """A lock ended while it was held, so that others may have come in; what it was held for was cancelled (MI-33)."""

    def __init__(self, key: str, ttl: float) -> None:
        self.key, self.ttl = key, ttl
        super().__init__(
            f"the lock {key!r} was lost: it could not be renewed in the {ttl:g} s for which it is held; give a longer "
            "ttl, and let nothing keep the loop from running others for as long as that"
        )


class Hold:
    """A lock that is held for one dispatch; ``logger`` is the name of the log for what fails without being raised."""

    def __init__(self, locks: Locks, key: str, ttl: float, logger: str) -> None:
        self._locks, self._key, self._ttl = locks, key, ttl
        self._log = logging.getLogger(logger)
        self._token = uuid4().hex
        self._end = 0.0
        """Until when it is held for certain."""
        self._renewing, self._passing = anyio.CancelScope(), anyio.CancelScope()
        self._lost = False

    async def acquire(self, tick: float, timeout: float) -> None:
        """Try until it is got. Raises `LockTimeout`."""
        deadline = anyio.current_time() + timeout
        while not await self._acquired():
            left = deadline - anyio.current_time()
            if left <= INSTANT:
                raise LockTimeout(self._key, timeout)
            await anyio.sleep(min(tick, left))

    async def run(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, and renew the lock meanwhile. Raises `LockLost`, and what is raised further in as it is."""
        error: BaseException | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._renew)
                with self._passing:
                    try:
                        await call_next(envelope)
                    except BaseException as raised:
                        error = raised  # the task group will put it into a group
                        raise
                    finally:
                        self._renewing.cancel()
        except BaseException:
            if error is None or isinstance(error, anyio.get_cancelled_exc_class()):
                raise
        self._conclude(error)

    async def release(self) -> None:
        """End the lock, if it is held or may be; a cancellation has to wait for that."""
        try:
            with anyio.fail_after(self._ttl, shield=True):
                await self._locks.release(self._key, self._token)
        except Exception:
            self._log.warning("the lock %r was not released; it ends by its ttl", self._key, exc_info=True)

    async def _acquired(self) -> bool:
        asked = anyio.current_time()
        self._end = asked + self._ttl
        return await self._locks.acquire(self._key, self._ttl, self._token)

    async def _renew(self) -> None:
        """Keep the lock; if that fails, cancel what it is held for."""
        with self._renewing:
            while (left := self._end - anyio.current_time()) > INSTANT:
                await anyio.sleep(min(self._ttl / SHARE, left))
                if not await self._renewed():
                    break
        if not self._renewing.cancel_called:
            self._lost = True
            self._passing.cancel()

    async def _renewed(self) -> bool:
        """Whether it is held as far as is known; an error tells nothing, nor does a store that does not answer."""
        asked = anyio.current_time()
        try:
            with anyio.CancelScope(deadline=self._end):
                if not await self._locks.renew(self._key, self._ttl, self._token):
                    return False
                self._end = asked + self._ttl
        except Exception:
            self._log.warning("the lock %r was not renewed; it is tried again", self._key, exc_info=True)
        return True

    def _conclude(self, error: BaseException | None) -> None:
        if self._lost:
            raise LockLost(self._key, self._ttl) from (error if isinstance(error, Exception) else None)
        if error is not None:
            raise error
