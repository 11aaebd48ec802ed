"""A claim from when it is made until it is settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from modd.concurrency.cancellation import error_of
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim
from modd.worker.source import LONGEST, SHORTEST, Source, log

PATIENCE = 1.0
"""Seconds that a store may take for what is given back when the worker is cancelled."""


class Work:
    """A claim, where it is from, and what has become of it.

    until: when its lease ends, by the clock of the loop.
    """

    __slots__ = ("_doing", "claim", "lost", "renewing", "rest", "settling", "source", "until")

    def __init__(self, source: Source, claim: Claim, until: float) -> None:
        self.source, self.claim, self.until = source, claim, until
        self.settling = False
        """It is being settled: its lease is of no concern any more."""
        self.renewing = False
        self.rest: float | None = None
        """It is for others, and to be left alone for so many seconds."""
        self.lost = False
        """Somebody else has it."""
        self._doing: tuple[Callable[..., Awaitable[None]], tuple[Any, ...]] | None = None

    async def settle(self, action: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Have the queue settle it; when that fails, again and again for as long as the lease lasts."""
        self.settling, self._doing = True, (action, args)
        error = await error_of(action, self.claim, *args)
        if error is not None:
            await self._insist(error, action, args)

    async def _insist(self, error: Exception | None, action: Callable[..., Awaitable[None]], args: Any) -> None:
        pause = SHORTEST
        while error is not None and not isinstance(error, LeaseLost):
            if anyio.current_time() + pause >= self.until:
                log.error("%s could not be settled; it will be claimed again", self.claim.id, exc_info=error)
                return
            log.warning("%s cannot be settled; next try in %g s", self.claim.id, pause, exc_info=error)
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST)
            error = await error_of(action, self.claim, *args)
        if error is not None:
            self.note_lost()

    def note_lost(self) -> None:
        """Somebody else has it, and settles it."""
        self.lost = True
        log.warning("the lease of %s ran out before it was settled; it is left to who has it now", self.claim.id)

    async def give_back(self, *, failed: bool = False) -> None:
        """Whoever works on it is cancelled: settle what was decided, or else release it.

        A store may take longer than `PATIENCE` for what cannot be taken back: one in a file that another process has
        locked waits for as long as its own timeout says.

        failed: it ends the worker, as `SystemExit` does. Then its attempt counts, so that it is buried in the end.
        """
        queue = self.source.queue
        action, args = self._doing or (queue.retry if failed else queue.release, ())
        with anyio.move_on_after(PATIENCE, shield=True):
            try:
                await action(self.claim, *args)
            except LeaseLost:  # it was settled before
                pass
            except Exception:
                log.exception("%s could not be given back; it will be claimed again when its lease ends", self.claim.id)
