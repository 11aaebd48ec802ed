"""Events as items of an outbox: in envelopes of their own, which name their cause."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modd.core import Message, wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.ids import item_id
from modd.cqrs.intents import Event
from modd.cqrs.wire import EVENT_HEADER
from modd.ports.items import Item


class EventItems:
    """Makes items for an outbox of the events that handlers emit.

    codec: encodes the events; by default one for each type, because no bus here needs to know the event.
    """

    def __init__(self, codec: Codec | None = None) -> None:
        self._codec = codec
        self._codecs: dict[type[Message], Codec] = {}

    def create(self, events: Iterable[Message], cause: Envelope[Any], key: str | None) -> list[Item]:
        """Return an item for each event, with the correlation and the inherited stamps of its cause.

        cause: the envelope of the message that was handled. key: the key of the items.
        """
        return [self._item(event, cause, key) for event in events]

    def _item(self, event: Message, cause: Envelope[Any], key: str | None) -> Item:
        envelope = Envelope(event)
        envelope.set_cause(cause)
        body = self._codec_of(type(event)).encode(envelope)
        headers = {EVENT_HEADER: wire_name(type(event))} if isinstance(event, Event) else {}
        return Item(body, headers, key=key, id=item_id(cause.bus.name, envelope.id))

    def _codec_of(self, kind: type[Message]) -> Codec:
        if self._codec is not None:
            return self._codec
        codec = self._codecs.get(kind)
        if codec is None:
            codec = self._codecs[kind] = Codec([kind])
        return codec
