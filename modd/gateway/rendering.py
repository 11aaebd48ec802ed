"""Items of a feed as clients get them: decoded, given channels and encoded once, however many clients there are."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from modd.core import Message, wire_name
from modd.cqrs import Codec, UnknownType
from modd.cqrs.outcomes import ABOUT_HEADER
from modd.gateway.errors import GatewayMisuse
from modd.gateway.exposures import Forward
from modd.ports.feed import Posted

T = TypeVar("T")

log = logging.getLogger("modd.gateway")

RECENT: Final = 1_024
"""Rendered items that are stored for clients that resume."""


class Topic(NamedTuple):
    """A channel, and the types whose messages a client may hear in it: the rule of each `Forward` is its own.

    forward: the types. channel: the channel.
    """

    forward: Forward
    channel: str


class HubItem(msgspec.Struct, frozen=True, eq=False):
    """A message for the clients of a topic.

    position: its position in the feed. epoch: the epoch of the feed. name: the name of its type for clients. topic: the
    topic. data: the JSON of its fields, in one line. texts: the results of `text`.
    """

    position: int
    epoch: str
    name: str
    topic: Topic
    data: bytes
    texts: dict[Callable[[HubItem], Any], Any] = msgspec.field(default_factory=dict)

    def text(self, write: Callable[[HubItem], T]) -> T:
        """Return the text that a function writes of it; the function is called once, however many clients get it."""
        found: T | None = self.texts.get(write)
        if found is None:
            found = self.texts[write] = write(self)
        return found


class Rendering:
    """Makes items for clients of the items of a feed, each once as long as it is among the recent ones.

    codec: decodes the items of the feed. forwards: the types that clients hear. recent: most rendered items that are
    stored.
    """

    def __init__(self, codec: Codec, forwards: Iterable[Forward], recent: int = RECENT) -> None:
        self._codec = codec
        self._forwards = {kind: forward for forward in forwards for kind in forward.types}
        lacking = [kind.__qualname__ for kind in self._forwards if kind not in codec.types]
        if lacking:
            raise GatewayMisuse([f"the codec does not know {', '.join(lacking)}; give it all types that are forwarded"])
        self._wire_names = {wire_name(kind) for kind in self._forwards}
        self._most, self._recent = recent, OrderedDict[int, tuple[HubItem, ...]]()

    def clear(self) -> None:
        """Forget all items, because the feed was made anew."""
        self._recent.clear()

    def render(self, posted: Posted, epoch: str) -> tuple[HubItem, ...]:
        """Return an item of a feed for each of its channels; none for a type that clients do not get.

        An item that cannot be decoded, or whose function for channels raises, is logged and has no channels.
        """
        items = self._recent.get(posted.position)
        if items is None:
            items = self._recent[posted.position] = self._make(posted, epoch)
            if len(self._recent) > self._most:
                self._recent.popitem(last=False)
        return items

    def _make(self, posted: Posted, epoch: str) -> tuple[HubItem, ...]:
        if not self._forwards or ABOUT_HEADER in posted.headers:  # the outcome of a command is no event
            return ()
        try:
            event = self._decode(posted.body)
            if event is None:
                return ()
            forward = self._forwards[type(event)]
            channels = channels_of(forward.to(event))
            data = fields_json(event) if channels else b""
        except Exception:
            log.exception("item %s of the feed, at position %s, is skipped", posted.id, posted.position)
            return ()
        name, topics = forward.names[type(event)], [Topic(forward, channel) for channel in channels]
        return tuple(HubItem(posted.position, epoch, name, topic, data) for topic in topics)

    def _decode(self, body: bytes) -> Message | None:
        """Return the event of an item, or None for a type that clients do not hear."""
        try:
            event: Message = self._codec.decode(body).message
        except UnknownType as error:
            if error.name in self._wire_names:
                raise
            return None
        return event if type(event) in self._forwards else None


def channels_of(value: Any) -> tuple[str, ...]:
    """Return the channels that a function for channels has returned, each once. Raises `TypeError`."""
    if value is None:
        return ()
    channels = dict.fromkeys([value] if isinstance(value, str) or not isinstance(value, Iterable) else value)
    if not all(isinstance(channel, str) for channel in channels):
        raise TypeError(f"`to` returned a {type(value).__name__}; let it return the name of a channel, a list, or None")
    return tuple(channels)


def fields_json(message: Message) -> bytes:
    """Return the fields of a message as JSON in one line, without the name of its type."""
    fields = msgspec.json.decode(msgspec.json.encode(message), type=dict[str, msgspec.Raw])
    fields.pop(str(message.__struct_config__.tag_field))
    return msgspec.json.encode(fields)
