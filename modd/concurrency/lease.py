"""Leases that are renewed for as long as the work under them takes.

Theory of operation. A lease of 30 s is renewed every third of its length, at 10 s, 20 s and so on, so that it survives
one failed renewal. `Lease.until` is a lower bound: it counts from before the store was asked, so the store never ends
a lease earlier than its holder expects. A renewal has three outcomes:

- The store renews the lease: ``until`` moves on.
- The store says that another holder has the lease: `Lease.lose` cancels the work.
- The store fails or does not answer: the keeper retries after a pause that doubles.

Example: a renewal at 10 s sets ``until`` to 40 s. The store does not answer at 20 s and at 30 s. At 40 s the lease is
lost, and the work under it is cancelled, because another holder may get the lease from then on.

`LeaseKeeper.keep` keeps one lease and loses it when ``until`` passes. `LeaseKeeper.keep_all` keeps many leases in one
task and leaves it to the store to say that a lease was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from logging import Logger
from typing import Protocol

import anyio

from modd.concurrency.backoff import DoublingPause
from modd.concurrency.cancellation import call, raise_if_cancelled


class Lease(Protocol):
    """A claim to a message or a key, which ends unless it is renewed."""

    until: float
    """The time, by the clock of the loop, until which the lease is certain."""

    @property
    def name(self) -> str:
        """The words for this lease in the log: ``the lock 'user-1'``."""
        ...

    @property
    def active(self) -> bool:
        """True while the lease has to be renewed: it is neither lost nor settled."""
        ...

    async def renew(self) -> bool:
        """Ask the store to renew the lease; return False if another holder has it. Errors of the store are retried."""
        ...

    def lose(self) -> None:
        """End the work that is done under the lease, unless it is over."""
        ...


class LeaseKeeper:
    """Renews leases of one length.

    seconds: the length of a lease. log: gets a warning for each renewal that fails.
    shortest_pause: seconds before the first retry of a failed renewal; by default a third of the lease. Later pauses
        double up to 5 s.
    """

    def __init__(self, seconds: float, log: Logger, *, shortest_pause: float | None = None) -> None:
        self.seconds, self.interval = seconds, seconds / 3
        self._log = log
        self._shortest_pause = self.interval if shortest_pause is None else shortest_pause
        self._renewing: set[Lease] = set()
        self._began: anyio.Event | None = None
        """Set when there are leases to keep again, after a time without."""

    async def keep(self, lease: Lease) -> None:
        """Renew a lease until it is lost; lose it when it ends because the store failed or did not answer."""
        while lease.active:
            with anyio.CancelScope(deadline=lease.until) as valid:
                await anyio.sleep(self.interval)
                await self._renew(lease)
            if valid.cancelled_caught:
                lease.lose()

    async def keep_all(self, leases: Callable[[], Iterable[Lease]]) -> None:
        """Renew many leases until cancelled, each in a task of its own, so that the store can batch the writes.

        leases: returns the leases to keep now; the same object for the same lease every time. Call `begin` after new
            ones: while there are none, no timer runs.
        """
        async with anyio.create_task_group() as tasks:
            while True:
                if not any(True for _ in leases()):
                    self._began = anyio.Event()
                    await self._began.wait()
                await anyio.sleep(self.interval)
                for lease in self._due(leases()):
                    self._renewing.add(lease)
                    tasks.start_soon(self._renew_once, lease)

    def begin(self) -> None:
        """Have `keep_all` look at its leases again, because there are new ones."""
        if self._began is not None:
            self._began.set()

    def _due(self, leases: Iterable[Lease]) -> list[Lease]:
        """Return the leases with too little time left to wait for the next look."""
        limit = anyio.current_time() + self.seconds - self.interval
        return [each for each in leases if each.active and each.until <= limit and each not in self._renewing]

    async def _renew_once(self, lease: Lease) -> None:
        try:
            await self._renew(lease)
        finally:
            self._renewing.discard(lease)

    async def _renew(self, lease: Lease) -> None:
        """Renew a lease; while the store fails, again and again for as long as the lease is active."""
        pause = DoublingPause(self._shortest_pause)
        while lease.active and (error := await self._try(lease)) is not None:
            seconds = pause.next()
            self._log.warning("%s cannot be renewed; next try in %g s", lease.name, seconds, exc_info=error)
            await anyio.sleep(seconds)

    async def _try(self, lease: Lease) -> Exception | None:
        """Ask the store once; return its error, if any."""
        until = anyio.current_time() + self.seconds
        try:
            renewed = await call(lease.renew)
        except Exception as error:
            failed = error
        else:
            if renewed:
                lease.until = until
            else:
                lease.lose()
            return None
        await raise_if_cancelled(failed)
        return failed
