"""The outbox of the worker that handles commands of flows: rejections go to the log, where their flow hears of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from modd.aggregate import Rejected
from modd.aggregate.event_codec import ACTOR, CAUSATION, CORRELATION, ID, STAMPS
from modd.core import wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Actor, InFlow
from modd.cqrs.wire import EVENT_HEADER, EnvelopeData
from modd.ports.items import Item
from modd.ports.storage import Storage
from modd.ports.transaction import Transaction

CODEC = Codec([Rejected])


REJECTED = wire_name(Rejected)


class FlowOutbox:
    """The outbox of a store, but for rejections of commands that a flow has sent: they become events.

    store: the store. Its transaction has the event and the acknowledgement of the command.
    needs_relay: True if the buses of the commands may put events into the outbox, which takes a relay.
        Aggregates do not: their events are in the log, which the follower reads.
    """

    def __init__(self, store: Storage, *, needs_relay: bool) -> None:
        self._storage, self.needs_relay = store, needs_relay
        self.store = getattr(store.outbox, "store", store)
        """The store of the outbox, as its parts name it."""

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store."""
        return self._storage.transaction(immediate=immediate)

    async def put(self, *items: Item) -> list[str]:
        """Add items to the outbox, and rejections of a flow's commands to the log; return the ids."""
        found = [(item, _rejection_of(item)) for item in items]
        others = [item for item, rejection in found if rejection is None]
        if others:
            await self._storage.outbox.put(*others)
        await self._log([(item, rejection) for item, rejection in found if rejection is not None])
        return [item.id or "" for item in items]

    async def _log(self, rejections: Sequence[tuple[Item, Envelope[Any]]]) -> None:
        """Record the rejections of one command."""
        if rejections:
            events = [_event_of(*each, number) for number, each in enumerate(rejections, 1)]
            await self._storage.events.append(f"~rejected/{rejections[0][1].causation_id}", events, 0)


def _rejection_of(item: Item) -> Envelope[Any] | None:
    """Return the envelope of a rejection of a command that a flow has sent; None for anything else."""
    if item.headers.get(EVENT_HEADER) != REJECTED:
        return None
    envelope = CODEC.decode(item.body)
    return envelope if envelope.has(InFlow) else None


def _event_of(item: Item, envelope: Envelope[Any], number: int) -> Item:
    """Return a rejection as an event of the log, with the headers that events of aggregates have."""
    cause = envelope.causation_id or envelope.id
    stamps: EnvelopeData = _decode(item.body)
    headers = {ID: f"{cause}#rejected{number}", CAUSATION: cause, CORRELATION: envelope.correlation_id}
    actor = envelope.last(Actor)
    if actor is not None:
        headers[ACTOR] = actor.id
    headers[STAMPS] = msgspec.json.encode(stamps.stamps).decode()  # as they came: some may be unknown here
    return Item(CODEC.encode_message(envelope.message), headers)


_decode = msgspec.json.Decoder(EnvelopeData).decode
