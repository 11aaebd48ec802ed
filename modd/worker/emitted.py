"""The events that handlers emit: into the outbox, or on through the turn of the surrounding bus, never both."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any

from modd.core import Message
from modd.cqrs.codec import Codec
from modd.cqrs.enclosing import dispatch_in_turn
from modd.cqrs.envelope import Envelope
from modd.cqrs.ids import item_id
from modd.cqrs.result import Dispatched
from modd.errors import TurnFailed
from modd.ports.items import Claim, Item
from modd.ports.outbox import Outbox
from modd.ports.transaction import open_transaction
from modd.worker.dead_letters import reason_of
from modd.worker.source import log


class EmittedEvents:
    """Publishes the events that handlers emit.

    outbox: gets the events; with None they flow on in a turn of the bus around the typed bus.
    codec: encodes the events; by default one for each type, because no bus here needs to know the event.
    """

    def __init__(self, outbox: Outbox | None, codec: Codec | None) -> None:
        self._outbox, self._codec = outbox, codec
        self._codecs: dict[type[Message], Codec] = {}

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
        """Put emitted events into the outbox, with the envelope as their cause and under the key of the claim."""
        if self._outbox is not None:
            await self._outbox.put(*[self._item(bus.name, each, dispatched, claim.key) for each in dispatched.events])
        elif not bus.around:
            names = ", ".join(sorted({type(event).__qualname__ for event in dispatched.events}))
            log.warning(
                "%s emitted %s, which nothing receives: give the worker an outbox, or put the bus into a Bus",
                bus.name,
                names,
            )

    def _item(self, bus: str, event: Message, dispatched: Dispatched[Any], key: str | None) -> Item:
        envelope = Envelope(event)
        envelope.set_cause(dispatched.envelope)
        return Item(self._codec_of(type(event)).encode(envelope), key=key, id=item_id(bus, envelope.id))

    def _codec_of(self, kind: type[Message]) -> Codec:
        if self._codec is not None:
            return self._codec
        codec = self._codecs.get(kind)
        if codec is None:
            codec = self._codecs[kind] = Codec([kind])
        return codec


def _log_failure(envelope: Envelope[Any], error: TurnFailed) -> None:
    """Log that a message is done, although a message that it caused failed."""
    kind = type(envelope.message).__qualname__
    log.error("%s %s is done and not tried again, but an effect of it failed: %s", kind, envelope.id, reason_of(error))
