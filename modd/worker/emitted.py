"""Where the events go that a handler has emitted: into the outbox, or on in a turn; each one way only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from modd.core import Message
from modd.cqrs.codec import Codec
from modd.cqrs.enclosing import dispatch_in_turn
from modd.cqrs.envelope import Envelope
from modd.cqrs.result import Dispatched
from modd.middleware.bus_keys import in_bus
from modd.ports.items import Claim, Item
from modd.ports.outbox import Outbox
from modd.worker.source import log


class Released:
    """Passes on what is released.

    outbox: None to have it flow in the turn of the bus around. codec: encodes the events; None for one of any event.
    """

    def __init__(self, outbox: Outbox | None, codec: Codec | None) -> None:
        self._outbox, self._codec = outbox, codec
        self._codecs: dict[type[Message], Codec] = {}

    def way(self, bus: Any) -> Callable[[Envelope[Any]], Awaitable[Dispatched[Any]]]:
        """How to have a bus handle an envelope: without an outbox in a turn of the bus around."""
        if self._outbox is None and bus.around:
            return partial(dispatch_in_turn, bus)
        return bus.dispatch  # type: ignore[no-any-return]

    async def keep(self, bus: Any, dispatched: Dispatched[Any], claim: Claim) -> None:
        """Put what was released into the outbox, as caused by the envelope, and under the key of its claim."""
        if self._outbox is not None:
            await self._outbox.put(*[self._item(bus.name, each, dispatched, claim.key) for each in dispatched.events])
        elif not bus.around:
            names = ", ".join(sorted({type(event).__qualname__ for event in dispatched.events}))
            log.warning(
                "%s released %s and nobody gets it: give the worker an outbox, or a Bus around", bus.name, names
            )

    def _item(self, bus: str, event: Message, dispatched: Dispatched[Any], key: str | None) -> Item:
        envelope = Envelope(event)
        envelope.set_cause(dispatched.envelope)
        return Item(self._codec_of(type(event)).encode(envelope), key=key, id=in_bus(bus, envelope.id))

    def _codec_of(self, kind: type[Message]) -> Codec:
        """One that encodes a type: who decodes it may be somebody else, so that no bus here needs to know it."""
        if self._codec is not None:
            return self._codec
        codec = self._codecs.get(kind)
        if codec is None:
            codec = self._codecs[kind] = Codec([kind])
        return codec
