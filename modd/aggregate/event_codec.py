"""The events of an aggregate as items of a store: their bodies, and headers that tell where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from modd.aggregate.access import ACCESS_EVENTS
from modd.core import Message, wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import UnknownType
from modd.cqrs.stamps import Actor, Stamp
from modd.errors import InvalidOption
from modd.ports.items import Item
from modd.ports.tagged import TYPE_HEADER

ID, CAUSATION, CORRELATION, ACTOR, STAMPS = "id", "causation", "correlation", "actor", "stamps"
"""The headers of a recorded event: its id, the ids of its command and of the first message in its line, the id of the
actor, and the inherited stamps as JSON."""


class EventCodec:
    """Encodes the events of an aggregate, and decodes them.

    codec: that of the events; the events about access have one of their own. tags: returns the tags of an event; None
    for events without tags.
    """

    def __init__(self, codec: Codec, tags: Callable[[Any], Iterable[str]] | None = None) -> None:
        self._codec, self._access, self._tags = codec, Codec(ACCESS_EVENTS), tags
        self.decode, self.decode_all = codec.decode_message, codec.decode_messages

    def items(self, events: Sequence[Message], cause: Envelope[Any]) -> list[Item]:
        """Return an item for each event that the command in an envelope has published."""
        id = cause.id
        common = {CAUSATION: id, CORRELATION: cause.correlation_id}
        inherited = cause.inherited() if cause.noted else []
        if inherited:
            common |= headers_of(inherited)
        items: list[Item] = []
        for number, event in enumerate(events, 1):
            codec = self._access if isinstance(event, ACCESS_EVENTS) else self._codec
            items.append(Item(codec.encode_message(event), {ID: f"{id}#{number}", **common}))
        return items if self._tags is None else [*map(self._tag, items, events)]

    def decode_any(self, body: bytes) -> Message:
        """Return an event, also one about access. Raises `UnknownType`, `Undecodable`."""
        try:
            return self._codec.decode_message(body)
        except UnknownType as unknown:
            if any(unknown.name == kind.__struct_config__.tag for kind in ACCESS_EVENTS):
                return self._access.decode_message(body)
            raise

    def _tag(self, item: Item, event: Message) -> Item:
        """Return an item with the tags of its event, and with its type, by which queries find it."""
        tags: Any = self._tags(event) if self._tags is not None and not isinstance(event, ACCESS_EVENTS) else ()
        if isinstance(tags, str) or not isinstance(tags, Iterable):
            raise InvalidOption("tags", tags, f"give a list of texts for {type(event).__qualname__}")
        return Item(item.body, {**item.headers, TYPE_HEADER: wire_name(type(event))}, tags=tuple(tags))


def headers_of(stamps: Iterable[Stamp]) -> dict[str, str]:
    """Return the headers of an event for the stamps that it inherits."""
    stamps = [*stamps]
    actor = next((stamp.id for stamp in stamps if isinstance(stamp, Actor)), None)
    encoded = msgspec.json.encode(stamps).decode()
    return {STAMPS: encoded} if actor is None else {ACTOR: actor, STAMPS: encoded}


def checked_codec(codec: Any, events: Iterable[type[Message]]) -> Codec:
    """Return the codec of these types of events; None for one without upcasters. Raises `InvalidOption`."""
    if codec is None:
        return Codec(events)
    if not isinstance(codec, Codec):
        raise InvalidOption("codec", codec, "give a modd.cqrs.Codec of the events")
    missing = [kind.__qualname__ for kind in events if wire_name(kind) not in codec.versions]
    if missing:
        raise InvalidOption(
            "codec", codec, f"give one that has the types of all events; it has no {', '.join(missing)}"
        )
    return codec
