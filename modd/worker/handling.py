"""What a worker does for a claim: decode, expand or dispatch, and settle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import anyio

from modd.concurrency.cancellation import raise_if_cancelled
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Undecodable
from modd.cqrs.intents import Event
from modd.cqrs.stamps import Failed, OnlyHandler
from modd.ports.errors import AlreadyHandled, LeaseLost
from modd.ports.inbox import Inbox
from modd.worker.claim import Work
from modd.worker.emitted import Released
from modd.worker.errors import NotedFailure, StrayCancellation
from modd.worker.fan_out import HANDLER, age_of, expand, rest_of
from modd.worker.handlers import Served, names_of
from modd.worker.retry import Rules, reason_of
from modd.worker.source import log

Decision: TypeAlias = tuple[Any, ...]
"""How to settle a claim: a method of its queue, and what that takes besides the claim."""


class Handling:
    """Does what claims ask for.

    keep_unknown: for how many seconds a row whose handler is not known is left to others before it is buried.
    """

    def __init__(
        self,
        served: Served,
        codec: Codec,
        inbox: Inbox | None,
        released: Released,
        rules: Rules,
        keep_unknown: float,
        clock: Callable[[], float],
    ) -> None:
        self._served, self._codec, self._inbox, self._released = served, codec, inbox, released
        self._rules, self._keep_unknown, self._clock = rules, keep_unknown, clock

    async def handle(self, work: Work) -> None:
        """Do what a claim asks for and settle it, whatever goes wrong; only a cancellation leaves it unsettled."""
        error: Exception
        try:
            decision = await self._try(work)
        except Exception as raised:
            error = raised
        except anyio.get_cancelled_exc_class() as cancelled:
            error = StrayCancellation(cancelled)
        else:
            if decision is not None:
                await work.settle(*decision)
            return
        await raise_if_cancelled(error)
        if isinstance(error, LeaseLost) and work.claim.id in error.ids:
            work.note_lost()
        else:
            await work.settle(*self._failed(work, error))

    async def _try(self, work: Work) -> Decision | None:
        """Do it; returns what is left to be settled."""
        claim = work.claim
        only = claim.headers.get(HANDLER)
        try:
            if claim.attempt > self._rules.attempts:
                return self._bury_or_leave(work, f"it was claimed {claim.attempt} times and never settled")
            envelope = self._codec.decode(claim.body)
        except Undecodable as error:
            return self._bury_or_leave(work, reason_of(error))
        kind = type(envelope.message)
        buses = self._served.of(kind, claim.headers)
        if only is not None:
            buses = [bus for bus in buses if only in bus.handler_names(kind)]
            if not buses:
                return self._leave(work, only)
            envelope.add(OnlyHandler(only))
        elif isinstance(envelope.message, Event) and (buses or not self._served.strict):
            return await expand(work, names_of(buses, kind), self._clock())
        if not buses:
            raise self._served.unhandled(kind)
        if work.source.begin is not None:
            return await self._in_transaction(work, work.source.begin, buses[0], envelope)
        await self._run(work, buses[0], envelope)
        return (work.source.queue.ack,)

    async def _in_transaction(
        self, work: Work, begin: Callable[[], Any], bus: Any, envelope: Envelope[Any]
    ) -> Decision | None:
        source = work.source
        try:
            async with begin():
                await self._run(work, bus, envelope)
                if source.acks:
                    work.settling = True
                    await source.queue.ack(work.claim)
                    return None
        except AlreadyHandled as known:  # somebody else was first: what was done here is rolled back
            if known.id != _id(work, bus):
                raise
        return (source.queue.ack,)

    async def _run(self, work: Work, bus: Any, envelope: Envelope[Any]) -> None:
        """Have the bus handle it, unless that was done before, and keep what comes of it."""
        inbox = self._inbox
        if inbox is not None and await inbox.has(_id(work, bus)):
            return
        before = () if envelope.sent else _failures(envelope)
        dispatched = await self._released.way(bus)(envelope)
        failed = _failures(dispatched.envelope)
        if len(failed) > len(before):
            raise NotedFailure(failed[-1].error)
        if dispatched.events:
            await self._released.keep(bus, dispatched, work.claim)
        if inbox is not None:
            await inbox.add(_id(work, bus))

    def _bury_or_leave(self, work: Work, reason: str) -> Decision | None:
        """Bury it, unless it is for somebody else to say what is to be done."""
        only = work.claim.headers.get(HANDLER)
        return self._bury(work, reason) if only is None or self._served.knows(only) else self._leave(work, only)

    def _leave(self, work: Work, handler: str) -> Decision | None:
        age = age_of(work.claim, self._clock())
        if age >= self._keep_unknown:
            return self._bury(work, f"no worker has had a handler named {handler!r} for {self._keep_unknown:g} s")
        work.rest = rest_of(age)
        return None

    def _failed(self, work: Work, error: Exception) -> Decision:
        claim, queue = work.claim, work.source.queue
        try:
            outcome = self._rules.after(error, claim.attempt)
        except Exception as wrong:
            return self._bury(work, f"{reason_of(error)}\nthe backoff failed: {reason_of(wrong)}")
        if outcome.delay is None:
            return self._bury(work, outcome.reason)
        log.info("%s failed and is tried again in %g s: %s", claim.id, outcome.delay, outcome.reason)
        return queue.retry, outcome.delay

    def _bury(self, work: Work, reason: str) -> Decision:
        log.error("%s is buried: %s", work.claim.id, reason)
        return work.source.queue.bury, reason


def _failures(envelope: Envelope[Any]) -> list[Failed]:
    return [stamp for stamp in envelope.noted if type(stamp) is Failed]


def _id(work: Work, bus: Any) -> str:
    return f"{work.source.name}/{bus.name}/{work.claim.id}"
