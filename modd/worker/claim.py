"""A claim that a worker handles, until it is settled or its lease is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from logging import WARNING
from typing import Any, TypeAlias

import anyio

from modd.concurrency.backoff import DoublingPause
from modd.concurrency.cancellation import error_of
from modd.core import log_error
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim
from modd.ports.settlement import settle_shielded
from modd.worker.source import SourceQueue, log

Settlement: TypeAlias = tuple[Any, ...]
"""The call that settles a claim: a method of its queue, then the arguments after the claim."""


class ClaimInHand:
    """A claim that this worker handles; a lease for `modd.concurrency.lease.LeaseKeeper`.

    source: the queue that the claim comes from.
    lease: seconds of a lease. until: the end of the lease, by the clock of the loop.
    """

    __slots__ = (
        "_settlement",
        "bus",
        "cancel",
        "claim",
        "envelope",
        "failure",
        "is_immediate",
        "is_left",
        "lease",
        "lost",
        "released",
        "settling",
        "source",
        "until",
    )

    def __init__(self, source: SourceQueue, claim: Claim, lease: float, until: float) -> None:
        self.source, self.claim, self.lease, self.until = source, claim, lease, until
        self.envelope: Any = None
        """The envelope of the message, once it is decoded."""
        self.bus: Any = None
        """The typed bus that handles the message, once it is known."""
        self.failure: Exception | None = None
        """The last error, once the message becomes a dead letter."""
        self.settling = False
        """True once the claim is being settled: from then on its lease is not renewed."""
        self.is_immediate = False
        """True if the message is handled in an immediate transaction."""
        self.lost = False
        """True if the lease ran out and a second worker has claimed the item."""
        self.is_left: bool | None = None
        """True if the item is left to workers that know it; False if it has been left for too long already."""
        self.released = False
        """True if the handler was cancelled and the message goes back to its queue."""
        self.cancel: Callable[[], object]
        """Cancels the handler; set by the slot that handles the claim."""
        self._settlement: Settlement | None = None

    @property
    def message(self) -> Any:
        """The message, once it is decoded: its secrets are no part of a text."""
        return None if self.envelope is None else self.envelope.message

    @property
    def name(self) -> str:
        """The words for this lease in the log."""
        return f"the lease of {self.claim.id}"

    @property
    def active(self) -> bool:
        """True while the handler runs, so that the lease has to be renewed."""
        return not (self.settling or self.lost)

    @property
    def is_retried(self) -> bool:
        """True if the claim is settled by a retry."""
        return self._settlement is not None and self._settlement[0] == self.source.queue.retry

    async def renew(self) -> bool:
        """Extend the lease; return False if it is lost."""
        try:
            await self.source.queue.extend(self.claim, self.lease)
        except LeaseLost:
            return False
        return True

    def lose(self) -> None:
        """Cancel the handler, because a second worker has claimed the item."""
        if self.active:
            self.mark_lost()
            self.cancel()

    def mark_lost(self) -> None:
        """Log that the lease is lost; the item is left to the worker that has claimed it."""
        self.lost = True
        log.warning("%s ran out before it was settled; a second worker has the item now", self.name)

    def settle_inside(self, action: Callable[..., Awaitable[None]]) -> Awaitable[None]:
        """Settle the claim with ``action(claim)`` in the open transaction; an error rolls the transaction back."""
        self.settling = True
        return action(self.claim)

    async def settle(self, action: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Settle the claim with ``action(claim, *args)``; retry a store that fails until the lease ends."""
        self.settling, self._settlement = True, (action, *args)
        error = await error_of(action, self.claim, *args)
        if error is not None:
            await self._retry_settle(error, action, args)

    async def leave(self, name: str, retention: float) -> None:
        """Leave the item to workers that claim items of this name, and note in ``is_left`` if that was possible."""
        await self.settle(self._leave, name, retention)

    async def release(self, *, failed: bool = False) -> None:
        """Release the claim at the end of a cancelled task; if a settlement was decided, settle it so instead.

        failed: True if the handler ends the worker, as `SystemExit` does. Then the attempt counts, so that the message
            becomes a dead letter in the end.
        """
        self.settling, self.released, queue = True, self._settlement is None, self.source.queue
        action, *args = self._settlement or (queue.retry if failed else queue.release,)
        await settle_shielded(action, [self.claim], *args, log=log)

    async def _leave(self, claim: Claim, name: str, retention: float) -> None:
        self.is_left = await self.source.queue.leave(claim, name, retention)

    async def _retry_settle(self, error: Exception | None, action: Callable[..., Awaitable[None]], args: Any) -> None:
        pause = DoublingPause()
        while error is not None and not isinstance(error, LeaseLost):
            seconds = pause.next()
            if anyio.current_time() + seconds >= self.until:
                text = "%s could not be settled; it will be claimed again"
                log_error(log, text, self.claim.id, error=error, message=self.message)
                return
            text, message = "%s cannot be settled; next try in %g s", self.message
            log_error(log, text, self.claim.id, seconds, error=error, message=message, level=WARNING)
            await anyio.sleep(seconds)
            error = await error_of(action, self.claim, *args)
        if error is not None:
            self.mark_lost()
