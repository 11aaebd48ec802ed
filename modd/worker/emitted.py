"""The events that handlers emit: into the outbox, or on through the turn of the surrounding bus, never both."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any

from modd.cqrs.codec import Codec
from modd.cqrs.enclosing import dispatch_in_turn
from modd.cqrs.envelope import Envelope
from modd.cqrs.event_items import EventItems
from modd.cqrs.result import Dispatched, events_for_outbox
from modd.errors import TurnFailed
from modd.ports.items import Claim
from modd.ports.outbox import Outbox
from modd.ports.transaction import open_transaction
from modd.worker.dead_letters import reason_of
from modd.worker.source import log


class EmittedEvents:
    """Publishes the events that handlers emit.

    outbox: gets the events; with None they flow on in a turn of the bus around the typed bus.
    codec: encodes the events; None for one for each type.
    """

    def __init__(self, outbox: Outbox | None, codec: Codec | None) -> None:
        self._outbox, self._items = outbox, EventItems(codec)

    def dispatch(self, bus: Any, envelope: Envelope[Any], within: Any) -> Awaitable[Dispatched[Any]]:
        """Dispatch an envelope; without an outbox in a turn of the surrounding bus, so that events flow on there.

        A failure of what the events cause is logged: the message itself succeeded and must not run again. It is raised
        in a transaction, which takes back what the message has done.

        within: the bus of the worker, which has the typed bus inside or is it.
        """
        if self._outbox is None and bus.around:
            log_failure = None if open_transaction.get() is not None else partial(_log_failure, envelope)
            return dispatch_in_turn(bus, envelope, log_failure, within=within)
        return bus.dispatch(envelope)  # type: ignore[no-any-return]

    async def publish(self, bus: Any, dispatched: Dispatched[Any], claim: Claim) -> None:
        """Put emitted events into the outbox, with the envelope as their cause and under the key of the claim.

        Events that an aggregate has recorded stay in its log alone.
        """
        events = events_for_outbox(dispatched)
        if not events:
            return
        if self._outbox is not None:
            await self._outbox.put(*self._items.create(events, dispatched.envelope, claim.key))
        elif not bus.around:
            names = ", ".join(sorted({type(event).__qualname__ for event in events}))
            log.warning(
                "%s emitted %s, which nothing receives: give the worker an outbox, or put the bus into a Bus",
                bus.name,
                names,
            )


def _log_failure(envelope: Envelope[Any], error: TurnFailed) -> None:
    """Log that a message is done, although a message that it caused failed."""
    kind = type(envelope.message).__qualname__
    log.error("%s %s is done and not tried again, but an effect of it failed: %s", kind, envelope.id, reason_of(error))
