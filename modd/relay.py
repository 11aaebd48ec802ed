"""From an outbox to where its items are to go."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from time import time
from typing import Protocol

import anyio

from modd.checks import checked_callable, checked_count, checked_delay, checked_methods, checked_span
from modd.concurrency.backoff import delays
from modd.concurrency.cancellation import error_of
from modd.errors import InvalidOption
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.ports.outbox import Outbox
from modd.ports.transaction import Transactional

LONGEST = 10.0
"""No pause after a failure is longer, in seconds."""


PATIENCE = 1.0
"""For so many seconds a relay that gives up tries to give back what it has claimed; after that the lease must end."""


_log = logging.getLogger("modd.relay")


class Target(Protocol):
    """Where a relay puts items: a `modd.ports.Queue`, or anything else that has its ``put``."""

    async def put(self, *items: Item) -> object:
        """Take items, all or none; return when they are safe. An id that is known need not be taken again."""
        ...


class Relay:
    """Passes on what is in an outbox to a queue, in order: the items of each key, and all of them together.

    Use it for messages that are to leave if and only if what caused them was committed: handlers put them into the
    outbox in their transaction, and a relay, here or in another process, passes them on. There may be several for one
    outbox; they take turns, so that the order holds, and when one dies the next goes on when its lease ends.

    Each item is put at least once. When outbox and target are in one store with transactions, it is put exactly once.
    Ids, keys and headers stay as they are, so that a target that knows an id does not take it a second time.

    What the target does not take holds up all that comes after it: it is logged (logger ``modd.relay``) and tried again
    after a pause, for as long as it takes.

    outbox: where items come from; with a method ``transaction`` what is put and what is acknowledged is one. With a
        method ``wait(seconds)``, which returns as soon as there may be something to claim, it is not polled.
    target: a `modd.ports.Queue` or anything else with ``put``.
    batch: how many items are passed on together at most.
    lease: for how many seconds a batch is claimed; a target that takes longer is given up, and the batch tried again.
    poll: how many seconds to wait when there is nothing to pass on.
    drain: for how many seconds `stop` lets the target take a batch before that is cancelled and the batch given back.
        For this there is one second more; a store that others have locked may take longer, as its own timeout says.
    clock: seconds since 1970.

    Raises `InvalidOption`.
    """

    def __init__(
        self,
        outbox: Outbox,
        target: Target,
        *,
        batch: int = 100,
        lease: float = 30.0,
        poll: float = 1.0,
        drain: float = 30.0,
        clock: Callable[[], float] = time,
    ) -> None:
        checked_methods("outbox", outbox, ("claim", "ack", "release"), "give a modd.ports.Outbox")
        checked_methods("target", target, ("put",), "give a modd.ports.Queue, or something else with its put")
        if target is outbox:  # it would know each id, take nothing, and be told to forget it
            raise InvalidOption("target", target, "it is the outbox itself; give the queue that its items are for")
        self._outbox, self._target = outbox, target
        self._batch, self._lease = checked_count("batch", batch), checked_span("lease", lease)
        self._poll, self._drain = checked_span("poll", poll), checked_delay("drain", drain)
        self._clock = checked_callable("clock", clock)
        self._transaction: Callable[[], AbstractAsyncContextManager[object]] = (
            outbox.transaction if isinstance(outbox, Transactional) else nullcontext
        )
        self._wait: Callable[[float], Awaitable[None]] = getattr(outbox, "wait", anyio.sleep)
        self._runs, self._stopped = 0, False
        self._ends: dict[anyio.CancelScope, float] = {}
        """What ends when it is stopped, and after how many seconds."""
        self._last_polled: float | None = None

    @property
    def last_polled(self) -> float | None:
        """When the outbox last told what there is to pass on, by its clock; None before the first time.

        For health checks: while it runs and all is well, this is no longer ago than a batch and ``poll`` take.
        """
        return self._last_polled

    async def run(self) -> None:
        """Pass on batch after batch until it is stopped, whatever fails. Cancelling it gives back what it claimed."""
        self._runs += 1
        try:
            await self._run()
        finally:
            self._runs -= 1
            if not self._runs:
                self._stopped = False

    def stop(self) -> None:
        """Have `run` end when the batch that it is at is passed on, or as long after this as ``drain`` says.

        While it does not run, the next `run` ends at once; the one after that works again. Call it from anywhere in the
        loop.
        """
        self._stopped = True
        for scope, seconds in self._ends.items():
            scope.deadline = min(scope.deadline, anyio.current_time() + seconds)

    async def pass_on(self) -> int:
        """Pass on one batch, and return how many items that were; 0 when there are none, or another relay is at them.

        Raises what the target or the outbox raises, and `LeaseLost` when the target takes longer than the lease. Then,
        and when this is cancelled, nothing is acknowledged, and the items are given back for the next who tries.
        """
        claims, end = await self._claim()
        await self._pass(claims, end)
        return len(claims)

    async def _run(self) -> None:
        pauses = delays()
        while not self._stopped:
            error = await error_of(self._round)
            if error is None:
                pauses = delays()
                continue
            pause = min(next(pauses), LONGEST)
            _log.error("could not pass on what is in the outbox; it is tried again in %.1f s", pause, exc_info=error)
            with self._ending(0.0):
                await anyio.sleep(pause)

    async def _round(self) -> None:
        """Pass on a batch, or wait until there may be one."""
        claims: Sequence[Claim] = ()
        with self._ending(0.0):
            claims, end = await self._claim()
            if not claims:
                await self._wait(self._poll)
        if claims:
            with self._ending(self._drain) as draining:
                await self._pass(claims, end)
            if draining.cancelled_caught:
                _log.warning("the target took over %g s after the stop; what was claimed is given back", self._drain)

    @contextmanager
    def _ending(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """What is done in the block ends so many seconds after it is stopped."""
        with anyio.CancelScope() as scope:
            self._ends[scope] = seconds
            if self._stopped:
                scope.deadline = anyio.current_time() + seconds
            try:
                yield scope
            finally:
                del self._ends[scope]

    async def _claim(self) -> tuple[Sequence[Claim], float]:
        """A batch, and when its lease ends by the clock of the loop."""
        end = anyio.current_time() + self._lease
        claims = await self._outbox.claim(self._batch, self._lease)
        self._last_polled = self._clock()
        return claims, end

    async def _pass(self, claims: Sequence[Claim], end: float) -> None:
        if not claims:
            return
        try:
            with anyio.CancelScope(deadline=end) as leased:  # another may be at them after that, and further on
                async with self._transaction():
                    await self._target.put(*[Item(each.body, each.headers, each.key, 0.0, each.id) for each in claims])
                    await self._outbox.ack(*claims)
            if leased.cancelled_caught:
                raise LeaseLost(claim.id for claim in claims)
        except BaseException:
            await self._give_back(claims)
            raise

    async def _give_back(self, claims: Sequence[Claim]) -> None:
        """As far as possible: what raised matters more than what goes wrong here."""
        with anyio.move_on_after(PATIENCE, shield=True) as trying:
            try:
                await self._outbox.release(*claims)
            except LeaseLost:
                pass  # another relay has them already, or they were acknowledged after all
            except Exception:
                _log.warning("what was claimed could not be given back; it is free when its lease ends", exc_info=True)
        if trying.cancelled_caught:
            _log.warning("giving back what was claimed took over %g s; it is free when its lease ends", PATIENCE)
