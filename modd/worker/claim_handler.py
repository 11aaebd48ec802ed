"""The way of one claim: decode the message, dispatch it to its bus or fan it out, and settle the claim.

A worker decides nothing about a message that it does not know: it leaves the message to workers that know it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio

from modd.concurrency.cancellation import failure_of, raise_if_cancelled
from modd.core import Message, wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import GiveUp, Undecodable, UnknownType
from modd.cqrs.ids import escape
from modd.cqrs.intents import Event
from modd.cqrs.result import Dispatched
from modd.cqrs.stamps import Failed, OnlyHandler, Received
from modd.cqrs.wire import BUS_HEADER, EVENT_HEADER
from modd.ports.errors import AlreadyHandled, Conflict, LeaseLost
from modd.ports.inbox import Inbox
from modd.worker.buses import ServedBuses
from modd.worker.claim import ClaimInHand, Settlement
from modd.worker.dead_letters import FailurePolicy, dead_letter, reason_of
from modd.worker.emitted import EmittedEvents
from modd.worker.errors import StampedFailure
from modd.worker.failures import settle_dead
from modd.worker.fan_out import fan_out, handler_of
from modd.worker.outcomes import OutcomeFeed
from modd.worker.source import log
from modd.worker.subscriptions import Subscriber, delivery_name, former_name, type_name


class ClaimHandler:
    """Handles claims: each is settled, left to others or lost afterwards.

    buses: the typed buses of the worker. codec: decodes the messages. inbox: recognises messages that were handled.
    emitted: dispatches to a bus and publishes the events. failures: decides about claims that failed.
    immediate: the types of message that are handled in an immediate transaction.
    subscriber: the handlers that the worker announces. outcomes: puts outcomes into a feed; None for no feed.
    """

    def __init__(
        self,
        buses: ServedBuses,
        codec: Codec,
        inbox: Inbox | None,
        emitted: EmittedEvents,
        failures: FailurePolicy,
        immediate: tuple[type, ...],
        subscriber: Subscriber,
        outcomes: OutcomeFeed | None,
    ) -> None:
        self._buses, self._codec, self._inbox = buses, codec, inbox
        self._emitted, self._failures = emitted, failures
        self._immediate, self._subscriber, self._outcomes = immediate, subscriber, outcomes

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
        if self._outcomes is not None and in_hand.failure is not None:
            settlement = self._outcomes.after_failure(in_hand, settlement)
        if in_hand.failure is not None and in_hand.bus is not None:
            await settle_dead(in_hand, settlement, self._buses.bus)
        else:
            await in_hand.settle(*settlement)

    async def _process(self, in_hand: ClaimInHand) -> Settlement | None:
        """Return how to settle the claim; None if it is settled already, or left."""
        claim = in_hand.claim
        if claim.attempt > self._failures.rules.attempts:
            error = GiveUp(f"it was claimed {claim.attempt} times and never settled")
            if claim.attempt == self._failures.rules.attempts + 1:  # not again, because that may have ended the process
                with suppress(Exception):
                    self._decode(in_hand)
            return await self._give_up(in_hand, error.reason, error)
        try:
            buses = self._decode(in_hand)
        except UnknownType as unknown:
            return await self._process_unknown(in_hand, unknown)
        except Undecodable as wrong:
            return await self._give_up(in_hand, reason_of(wrong), wrong)
        envelope, handler = in_hand.envelope, handler_of(claim)
        in_hand.is_immediate = in_hand.is_immediate or isinstance(envelope.message, self._immediate)
        if handler is not None:
            return await self._process_delivery(in_hand, handler, envelope)
        if isinstance(envelope.message, Event):
            return await self._process_event(in_hand, buses, type(envelope.message))
        if not buses:
            return await self._leave_command(in_hand, type(envelope.message))
        return await self._dispatch(in_hand, buses[0], envelope)

    def _decode(self, in_hand: ClaimInHand) -> list[Any]:
        """Note the envelope of a claim and its bus, and return the buses that handle it.

        Raises `Undecodable` and `UnknownType`.
        """
        claim, handler = in_hand.claim, handler_of(in_hand.claim)
        in_hand.envelope = envelope = self._codec.decode(claim.body)
        if claim.key is not None:
            _note_key(envelope, claim.key)
        kind = type(envelope.message)
        buses = self._buses.find(kind, claim.headers)
        if handler is None:
            in_hand.bus = buses[0] if buses else None
        else:
            name = claim.headers.get(BUS_HEADER)
            in_hand.bus = next(
                (bus for bus in buses if name in (None, bus.name) and handler in bus.handler_names(kind)), None
            )
        return buses

    async def _process_unknown(self, in_hand: ClaimInHand, unknown: UnknownType) -> Settlement | None:
        """Leave a message to workers that decode it; an event gets to the handlers that these have announced."""
        handler, type, version = handler_of(in_hand.claim), unknown.name, unknown.version
        if handler is not None:
            return await self._leave_delivery(in_hand, handler, type, version, unknown)
        if in_hand.claim.headers.get(EVENT_HEADER) == type and not self._buses.strict:
            return await self._fan_out(in_hand, type, [])
        return await self._leave(in_hand, type_name(type, version), unknown)

    async def _process_event(self, in_hand: ClaimInHand, buses: list[Any], kind: type[Message]) -> Settlement | None:
        """Replace an event with its deliveries."""
        if not buses and self._buses.strict:
            announced = await in_hand.source.queue.subscriptions()
            if not any(each.type == wire_name(kind) for each in announced):
                raise self._buses.no_handler_error(kind)
        own = [(bus.name, name) for bus in buses for name in bus.handler_names(kind)]
        return await self._fan_out(in_hand, wire_name(kind), own)

    async def _fan_out(self, in_hand: ClaimInHand, type: str, own: list[tuple[str, str]]) -> Settlement | None:
        if await fan_out(in_hand, type, own, self._subscriber.former):
            return None
        sent_as = in_hand.claim.headers.get(EVENT_HEADER, type)
        return await self._leave(in_hand, former_name(sent_as), UnknownType(sent_as, 1, KeyError(sent_as), ()))

    async def _process_delivery(
        self, in_hand: ClaimInHand, handler: str, envelope: Envelope[Message]
    ) -> Settlement | None:
        """Dispatch a delivery of an event to its one handler, or leave it to workers that have the handler."""
        if in_hand.bus is not None:
            envelope.add(OnlyHandler(handler))
            return await self._dispatch(in_hand, in_hand.bus, envelope)
        head = self._subscriber.head_of(in_hand.claim.body, type(envelope.message))
        return await self._leave_delivery(in_hand, handler, *head)

    async def _leave_command(self, in_hand: ClaimInHand, kind: type[Message]) -> Settlement | None:
        name, version = self._subscriber.head_of(in_hand.claim.body, kind)
        handled = [wire_name(each) for each in self._buses.types]
        return await self._leave(in_hand, type_name(name, version), UnknownType(name, version, KeyError(name), handled))

    async def _leave_delivery(
        self, in_hand: ClaimInHand, handler: str, type: str = "", version: int = 0, error: Exception | None = None
    ) -> Settlement | None:
        bus = in_hand.claim.headers.get(BUS_HEADER, "")
        missing = GiveUp(f"no handler named {handler!r} on {bus or 'any bus'}; give the worker this handler")
        return await self._leave(in_hand, delivery_name(bus, type, version, handler), error or missing)

    async def _leave(self, in_hand: ClaimInHand, name: str, error: Exception) -> Settlement | None:
        """Leave a message to workers that know it."""
        self._subscriber.lack(name)
        return await self._failures.leave(in_hand, name, error)

    async def _dispatch(self, in_hand: ClaimInHand, bus: Any, envelope: Envelope[Any]) -> Settlement | None:
        """Dispatch, in a transaction if there is one; acknowledge inside of it if the queue can, else afterwards."""
        source = in_hand.source
        if source.begin is None:
            return self._success(in_hand, await self._dispatch_once(in_hand, bus, envelope))
        try:
            async with source.begin(immediate=in_hand.is_immediate):
                settlement = self._success(in_hand, await self._dispatch_once(in_hand, bus, envelope))
                if source.acks_in_transaction:
                    await in_hand.settle_inside(*settlement)
                    return None
        except AlreadyHandled as error:  # a second worker was first: the transaction is rolled back
            if error.id != _inbox_id(in_hand, bus):
                raise
            return self._success(in_hand, None)
        return settlement

    def _success(self, in_hand: ClaimInHand, dispatched: Dispatched[Any] | None) -> Settlement:
        """Return how to settle a message that was handled; dispatched: None if that was before."""
        if self._outcomes is None:
            return (in_hand.source.queue.ack,)
        return self._outcomes.after_success(in_hand, dispatched)

    async def _dispatch_once(self, in_hand: ClaimInHand, bus: Any, envelope: Envelope[Any]) -> Dispatched[Any] | None:
        """Dispatch, unless the inbox has the message; publish the events, and note the message in the inbox."""
        inbox = self._inbox
        if inbox is not None and await inbox.has(_inbox_id(in_hand, bus)):
            return None
        failures_before = 0 if envelope.sent else len(_failures(envelope))
        dispatched = await self._emitted.dispatch(bus, envelope, self._buses.bus)
        failures = _failures(dispatched.envelope)
        if len(failures) > failures_before:
            raise StampedFailure(failures[-1].error)
        if dispatched.events:
            await self._emitted.publish(bus, dispatched, in_hand.claim)
        if inbox is not None:
            await inbox.add(_inbox_id(in_hand, bus))
        return dispatched

    async def _give_up(self, in_hand: ClaimInHand, reason: str, error: Exception) -> Settlement | None:
        """Make a message a dead letter; a delivery whose handler is not here is left to workers that have it."""
        handler = handler_of(in_hand.claim)
        if handler is None or self._buses.has_event_handler(handler, in_hand.claim.headers.get(BUS_HEADER)):
            return dead_letter(in_hand, reason, error)
        return await self._leave_delivery(in_hand, handler)


def _failures(envelope: Envelope[Any]) -> list[Failed]:
    return [] if envelope.is_plain else [stamp for stamp in envelope.noted if type(stamp) is Failed]


def _note_key(envelope: Envelope[Any], key: str) -> None:
    """Note the key of a claim on the `Received` stamp, for the middleware that put events into an outbox."""
    stamps = envelope.noted
    stamps[:] = [Received(key=key, at=each.at) if type(each) is Received else each for each in stamps]


def _inbox_id(in_hand: ClaimInHand, bus: Any) -> str:
    return f"{in_hand.source.name}/{escape(bus.name, '/')}/{in_hand.claim.id}"
