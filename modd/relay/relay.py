"""The `Relay`: passes on the items of an outbox to its target, in order."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from time import time
from typing import Any

import anyio

from modd.checks import checked_callable, checked_count, checked_delay, checked_methods, checked_span
from modd.concurrency.backoff import delays
from modd.concurrency.blocks import block
from modd.concurrency.cancellation import error_of
from modd.concurrency.loops import call_in_task, current_loop
from modd.concurrency.polling import Polling
from modd.errors import InvalidOption
from modd.ports.errors import LeaseLost, raise_misuse
from modd.ports.items import Claim, Item
from modd.ports.outbox import Outbox
from modd.ports.settlement import settle_shielded
from modd.ports.transaction import SupportsTransactions
from modd.relay.tee import RelayTarget, targets_of

MAX_PAUSE = 10.0
"""Upper limit of the pause after a failure, in seconds."""


_log = logging.getLogger("modd.relay")


class Relay:
    """Passes on the items of an outbox to a queue: all of them in order, and those of each key in order.

    Use it for messages that must leave if and only if their cause was committed: handlers put them into the outbox in
    their transaction, and a relay, here or in a second process, passes them on. Several relays may serve one outbox.
    They take turns, so that the order holds; if one dies, the next goes on when its lease ends.

    Each item is put at least once; if outbox and target are in one store with transactions, exactly once. Ids, keys and
    headers stay the same, so that a target recognises an item that it has.

    An item that the target refuses holds up all items behind it. The failure is logged (logger ``modd.relay``), and the
    relay tries again, after growing pauses of at most 10 s, until the target takes the item.

    outbox: a `modd.ports.Outbox`. If it has a method ``transaction``, putting and acknowledging are one transaction. If
        it has a method ``wait(seconds)``, which returns as soon as there may be an item, it is not polled.
    target: a `modd.ports.Queue`, a `modd.ports.Feed`, a `modd.relay.Tee` for several of them, or any object with their
        ``put``.
    batch: most items that are passed on together; 100 by default.
    lease: seconds for which a batch is claimed, 30 by default. If the target takes longer, it is cancelled and the
        batch tried again.
    poll: seconds to wait when there is nothing to pass on; 1 by default.
    drain: seconds that the target has after `stop` to take a batch, 30 by default; then it is cancelled and the batch
        released. That takes at most one second more, or the timeout of a locked store.
    clock: returns the time in seconds since 1970; ``time.time`` by default.

    Raises:
        InvalidOption: an option has a value that cannot work, or ``target`` is the outbox itself.
    """

    def __init__(
        self,
        outbox: Outbox,
        target: RelayTarget,
        *,
        batch: int = 100,
        lease: float = 30.0,
        poll: float = 1.0,
        drain: float = 30.0,
        clock: Callable[[], float] = time,
    ) -> None:
        checked_methods("outbox", outbox, ("claim", "ack", "release"), "give a modd.ports.Outbox, such as store.outbox")
        checked_methods("target", target, ("put",), "give a modd.ports.Queue, or something else with its put")
        # the outbox has each id already, so it would skip the items, and then forget them
        if any(each is outbox for each in targets_of(target)):
            raise InvalidOption("target", target, "it is the outbox itself; give the queue that its items are for")
        self._outbox, self._target = outbox, target
        self._batch, self._lease = checked_count("batch", batch), checked_span("lease", lease)
        self._poll, self._drain = checked_span("poll", poll), checked_delay("drain", drain)
        self._clock = checked_callable("clock", clock)
        self._transaction: Callable[[], AbstractAsyncContextManager[object]] = (
            outbox.transaction if isinstance(outbox, SupportsTransactions) else nullcontext
        )
        self._wait: Callable[[float], Awaitable[None]] = getattr(outbox, "wait", anyio.sleep)
        self._runs, self._stopped = 0, False
        self._stoppable: dict[anyio.CancelScope, tuple[float, Any]] = {}
        """The scopes that `stop` cancels, with the seconds until then and the loop of each."""
        self._polling = Polling(self._poll, self._clock)

    @property
    def last_polled(self) -> float | None:
        """The time of the last answer of the outbox, by ``clock``, for health checks; None before the first.

        While the relay runs well, it is no older than a batch and ``poll`` take.
        """
        return self._polling.last

    @property
    def poll(self) -> float:
        """Seconds to wait when there is nothing to pass on."""
        return self._poll

    @property
    def drain(self) -> float:
        """Seconds that the target has after `stop` to take a batch."""
        return self._drain

    @property
    def label(self) -> str:
        """The word for the relay in a status: ``relay``."""
        return "relay"

    async def wait_ready(self) -> None:
        """Return when the run that is under way, or else the next one, has had an answer of the outbox."""
        await self._polling.wait()

    def problem(self) -> str | None:
        """Return the words for a relay that does not do its work now; None if it is well.

        It is not well before the first answer of the outbox, and when `last_polled` is more than 5 seconds, and three
        times ``poll``, ago.
        """
        return self._polling.problem(self.last_polled)

    async def run(self) -> None:
        """Pass on batch after batch until the relay is stopped; failures are logged.

        If the run is cancelled, the items that it has claimed are released.
        """
        self._runs += 1
        try:
            await self._run_until_stopped()
        finally:
            self._runs -= 1
            if not self._runs:
                self._stopped = False
                self._polling.end()

    def stop(self) -> None:
        """Have `run` end when its present batch is passed on, at the latest ``drain`` seconds from now.

        If the relay does not run, its next `run` ends at once, and later runs work again. Call `stop` from any
        task, thread or loop.
        """
        self._stopped = True
        for scope, (seconds, loop) in self._stoppable.copy().items():
            call_in_task(loop, partial(_cancel_after, scope, seconds))

    async def pass_on(self) -> int:
        """Pass on one batch, and return the number of its items; 0 if there are none, or a second relay has them.

        If this fails or is cancelled, nothing is acknowledged, and the items are released.

        Raises: the errors of the target and the outbox; `LeaseLost` if the target takes longer than the lease.
        """
        claims, lease_end = await self._claim()
        await self._pass_on(claims, lease_end)
        return len(claims)

    async def _run_until_stopped(self) -> None:
        pauses = delays()
        while not self._stopped:
            error = await error_of(self._pass_on_or_wait)
            if error is None:
                pauses = delays()
                continue
            raise_misuse(error)
            pause = min(next(pauses), MAX_PAUSE)
            _log.error("could not pass on the items of the outbox; next try in %.1f s", pause, exc_info=error)
            with self._cancelled_by_stop(0.0):
                await anyio.sleep(pause)

    async def _pass_on_or_wait(self) -> None:
        """Pass on a batch, or wait until there may be one."""
        claims: Sequence[Claim] = ()
        with self._cancelled_by_stop(0.0):
            claims, lease_end = await self._claim()
            if not claims:
                await self._wait(self._poll)
        if claims:
            with self._cancelled_by_stop(self._drain) as scope:
                await self._pass_on(claims, lease_end)
            if scope.cancelled_caught:
                _log.warning("the target took over %g s after the stop; its items are released", self._drain)

    @block
    def _cancelled_by_stop(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """Cancel the block so many seconds after `stop`."""
        with anyio.CancelScope() as scope:
            self._stoppable[scope] = seconds, current_loop()
            if self._stopped:
                _cancel_after(scope, seconds)
            try:
                yield scope
            finally:
                del self._stoppable[scope]

    async def _claim(self) -> tuple[Sequence[Claim], float]:
        """Claim a batch; return it and the end of its lease, by the clock of the loop."""
        lease_end = anyio.current_time() + self._lease
        claims = await self._outbox.claim(self._batch, self._lease)
        self._polling.note()
        return claims, lease_end

    async def _pass_on(self, claims: Sequence[Claim], lease_end: float) -> None:
        """Put a batch into the target and acknowledge it; release it if that fails."""
        if not claims:
            return
        try:
            with anyio.CancelScope(deadline=lease_end) as scope:  # after that a second relay may pass on the items
                async with self._transaction():
                    await self._target.put(*[Item(each.body, each.headers, each.key, 0.0, each.id) for each in claims])
                    await self._outbox.ack(*claims)
            if scope.cancelled_caught:
                raise LeaseLost(claim.id for claim in claims)
        except BaseException:
            await settle_shielded(self._outbox.release, claims, log=_log)
            raise


def _cancel_after(scope: anyio.CancelScope, seconds: float) -> None:
    scope.deadline = min(scope.deadline, anyio.current_time() + seconds)
