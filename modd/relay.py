"""From an outbox to where its items are to go."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from time import time
from typing import Any, Protocol

import anyio

from modd.errors import InvalidOption
from modd.middleware.backoff import delays
from modd.ports.checks import checked_count, checked_span
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.ports.outbox import Outbox
from modd.ports.transaction import Transactional

LONGEST = 10.0
"""No pause after a failure is longer, in seconds."""
PATIENCE = 2.0
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

    Raises `InvalidOption`.
    """

    def __init__(
        self, outbox: Outbox, target: Target, *, batch: int = 100, lease: float = 30.0, poll: float = 1.0
    ) -> None:
        _check("outbox", outbox, ("claim", "ack", "release"), "give a modd.ports.Outbox")
        _check("target", target, ("put",), "give a modd.ports.Queue, or something else with its put")
        if target is outbox:  # it would know each id, take nothing, and be told to forget it
            raise InvalidOption("target", target, "it is the outbox itself; give the queue that its items are for")
        self._outbox, self._target = outbox, target
        self._batch, self._lease = checked_count("batch", batch), checked_span("lease", lease)
        self._poll = checked_span("poll", poll)
        self._transaction: Callable[[], AbstractAsyncContextManager[object]] = (
            outbox.transaction if isinstance(outbox, Transactional) else nullcontext
        )
        self._wait: Callable[[float], Awaitable[None]] = getattr(outbox, "wait", anyio.sleep)
        self._stopped = False
        self._resting: set[anyio.CancelScope] = set()
        self._last_polled: float | None = None

    @property
    def last_polled(self) -> float | None:
        """When the outbox last told what there is to pass on, in seconds since 1970; None before the first time.

        For health checks: while it runs and all is well, this is no longer ago than a batch and ``poll`` take.
        """
        return self._last_polled

    async def run(self) -> None:
        """Pass on batch after batch until `stop` is called, whatever fails. Cancelling it gives back what it claimed.

        It returns at once if it was stopped before.
        """
        pauses = delays()
        while not self._stopped:
            try:
                if not await self.pass_on():
                    await self._rest(self._wait, self._poll)
            except Exception:
                pause = min(next(pauses), LONGEST)
                _log.exception("could not pass on what is in the outbox; it is tried again in %.1f s", pause)
                await self._rest(anyio.sleep, pause)
            else:
                pauses = delays()

    def stop(self) -> None:
        """Have `run` return, when the batch that it is at is passed on; this is for good. Call it from the loop."""
        self._stopped = True
        for scope in self._resting:
            scope.cancel()

    async def pass_on(self) -> int:
        """Pass on one batch, and return how many items that were; 0 when there are none, or another relay is at them.

        Raises what the target or the outbox raises, and `LeaseLost` when the target takes longer than the lease. Then,
        and when this is cancelled, nothing is acknowledged, and the items are given back for the next who tries.
        """
        end = anyio.current_time() + self._lease
        claims = await self._outbox.claim(self._batch, self._lease)
        self._last_polled = time()
        if claims:
            await self._pass(claims, end)
        return len(claims)

    async def _pass(self, claims: Sequence[Claim], end: float) -> None:
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

    async def _rest(self, wait: Callable[[float], Awaitable[None]], seconds: float) -> None:
        """Wait, unless it is stopped or until it is."""
        with anyio.CancelScope() as scope:
            self._resting.add(scope)
            try:
                if not self._stopped:
                    await wait(seconds)
            finally:
                self._resting.discard(scope)


def _check(option: str, given: Any, methods: Sequence[str], wanted: str) -> None:
    if isinstance(given, type) or not all(callable(getattr(given, method, None)) for method in methods):
        raise InvalidOption(option, given, wanted)
