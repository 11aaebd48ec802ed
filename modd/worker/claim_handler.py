"""The way of one claim: decode the message, dispatch it to its bus or fan it out, and settle the claim."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio

from modd.concurrency.cancellation import failure_of, raise_if_cancelled
from modd.core import Message
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import GiveUp, Undecodable
from modd.cqrs.ids import escape
from modd.cqrs.intents import Event
from modd.cqrs.stamps import Failed, OnlyHandler, Received
from modd.ports.errors import AlreadyHandled, Conflict, LeaseLost
from modd.ports.inbox import Inbox
from modd.worker.buses import ServedBuses, handler_names
from modd.worker.claim import ClaimInHand, Settlement
from modd.worker.dead_letters import FailurePolicy, dead_letter, reason_of
from modd.worker.emitted import EmittedEvents
from modd.worker.errors import StampedFailure
from modd.worker.failures import settle_dead
from modd.worker.fan_out import fan_out, handler_of
from modd.worker.source import log


class ClaimHandler:
    """Handles claims: each is settled, parked or lost afterwards.

    buses: the typed buses of the worker. codec: decodes the messages. inbox: recognises messages that were handled.
    emitted: dispatches to a bus and publishes the events. failures: decides about claims that failed.
    immediate: the types of message that are handled in an immediate transaction. clock: seconds since 1970.
    """

    def __init__(
        self,
        buses: ServedBuses,
        codec: Codec,
        inbox: Inbox | None,
        emitted: EmittedEvents,
        failures: FailurePolicy,
        immediate: tuple[type, ...],
        clock: Callable[[], float],
    ) -> None:
        self._buses, self._codec, self._inbox = buses, codec, inbox
        self._emitted, self._failures = emitted, failures
        self._immediate, self._clock = immediate, clock

    async def handle(self, in_hand: ClaimInHand) -> None:
        """Handle a claim and settle it, also after an error; only a cancellation leaves it unsettled.

        A message whose transaction ends in a conflict is handled again at once, in an immediate transaction: no other
        writer can come first then.
        """
        error: BaseException
        try:
            settlement = await self._process(in_hand)
        except (Exception, anyio.get_cancelled_exc_class()) as raised:
            error = raised
        else:
            if settlement is not None:
                await self._settle(in_hand, settlement)
            return
        error = failure_of(error)
        await raise_if_cancelled(error)
        if isinstance(error, Conflict) and in_hand.source.begin is not None and not in_hand.is_immediate:
            log.debug("%s is handled again in an immediate transaction: %s", in_hand.claim.id, error)
            in_hand.settling, in_hand.is_immediate = False, True
            await self.handle(in_hand)
        elif isinstance(error, LeaseLost) and in_hand.claim.id in error.ids:
            in_hand.mark_lost()
        else:
            await self._settle(in_hand, self._failures.settle_failure(in_hand, error))

    async def _settle(self, in_hand: ClaimInHand, settlement: Settlement) -> None:
        if in_hand.failure is not None and in_hand.bus is not None:
            await settle_dead(in_hand, settlement, self._buses.bus)
        else:
            await in_hand.settle(*settlement)

    async def _process(self, in_hand: ClaimInHand) -> Settlement | None:
        """Return how to settle the claim; None if it is settled already, or parked."""
        claim = in_hand.claim
        if claim.attempt > self._failures.rules.attempts:
            error = GiveUp(f"it was claimed {claim.attempt} times and never settled")
            if claim.attempt == self._failures.rules.attempts + 1:  # not again, because that may have ended the process
                with suppress(Exception):
                    self._decode(in_hand)
            return self._give_up(in_hand, error.reason, error)
        try:
            buses = self._decode(in_hand)
        except Undecodable as wrong:
            return self._give_up(in_hand, reason_of(wrong), wrong)
        envelope, handler = in_hand.envelope, handler_of(claim)
        kind = type(envelope.message)
        in_hand.is_immediate = in_hand.is_immediate or isinstance(envelope.message, self._immediate)
        if handler is not None:
            return await self._process_row(in_hand, handler, envelope)
        if isinstance(envelope.message, Event) and (buses or not self._buses.strict):
            return await fan_out(in_hand, handler_names(buses, kind), self._clock())
        if not buses:
            raise self._buses.no_handler_error(kind)
        return await self._dispatch(in_hand, buses[0], envelope)

    def _decode(self, in_hand: ClaimInHand) -> list[Any]:
        """Note the envelope of a claim and its bus, and return the buses that handle it. Raises `Undecodable`."""
        claim, handler = in_hand.claim, handler_of(in_hand.claim)
        in_hand.envelope = envelope = self._codec.decode(claim.body)
        if claim.key is not None:
            _note_key(envelope, claim.key)
        kind = type(envelope.message)
        buses = self._buses.find(kind, claim.headers)
        own = buses if handler is None else [bus for bus in buses if handler in bus.handler_names(kind)]
        in_hand.bus = own[0] if own else None
        return buses

    async def _process_row(self, in_hand: ClaimInHand, handler: str, envelope: Envelope[Message]) -> Settlement | None:
        """Dispatch a row of an event to its one handler, or leave it to workers that have the handler."""
        if in_hand.bus is not None:
            envelope.add(OnlyHandler(handler))
            return await self._dispatch(in_hand, in_hand.bus, envelope)
        return self._failures.settle_unknown(in_hand, handler)

    async def _dispatch(self, in_hand: ClaimInHand, bus: Any, envelope: Envelope[Any]) -> Settlement | None:
        """Dispatch, in a transaction if there is one; acknowledge inside of it if the queue can, else afterwards."""
        source = in_hand.source
        if source.begin is None:
            await self._dispatch_once(in_hand, bus, envelope)
            return (source.queue.ack,)
        try:
            async with source.begin(immediate=in_hand.is_immediate):
                await self._dispatch_once(in_hand, bus, envelope)
                if source.acks_in_transaction:
                    await in_hand.ack()
                    return None
        except AlreadyHandled as error:  # a second worker was first: the transaction is rolled back
            if error.id != _inbox_id(in_hand, bus):
                raise
        return (source.queue.ack,)

    async def _dispatch_once(self, in_hand: ClaimInHand, bus: Any, envelope: Envelope[Any]) -> None:
        """Dispatch, unless the inbox has the message; publish the events, and note the message in the inbox."""
        inbox = self._inbox
        if inbox is not None and await inbox.has(_inbox_id(in_hand, bus)):
            return
        failures_before = 0 if envelope.sent else len(_failures(envelope))
        dispatched = await self._emitted.dispatch(bus, envelope, self._buses.bus)
        failures = _failures(dispatched.envelope)
        if len(failures) > failures_before:
            raise StampedFailure(failures[-1].error)
        if dispatched.events:
            await self._emitted.publish(bus, dispatched, in_hand.claim)
        if inbox is not None:
            await inbox.add(_inbox_id(in_hand, bus))

    def _give_up(self, in_hand: ClaimInHand, reason: str, error: Exception) -> Settlement | None:
        """Make a message a dead letter; a row whose handler is not here is left to the workers that have it."""
        handler = handler_of(in_hand.claim)
        if handler is None or self._buses.has_event_handler(handler):
            return dead_letter(in_hand, reason, error)
        return self._failures.settle_unknown(in_hand, handler)


def _failures(envelope: Envelope[Any]) -> list[Failed]:
    return [] if envelope.is_plain else [stamp for stamp in envelope.noted if type(stamp) is Failed]


def _note_key(envelope: Envelope[Any], key: str) -> None:
    """Note the key of a claim on the `Received` stamp, for the middleware that put events into an outbox."""
    stamps = envelope.noted
    stamps[:] = [Received(key=key, at=each.at) if type(each) is Received else each for each in stamps]


def _inbox_id(in_hand: ClaimInHand, bus: Any) -> str:
    return f"{in_hand.source.name}/{escape(bus.name, '/')}/{in_hand.claim.id}"
