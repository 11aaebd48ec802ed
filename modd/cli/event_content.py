"""Views of recorded events: as a body of a queue item, an event may have sensitive values, and so may its headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from modd.aggregate.access import ACCESS_EVENTS
from modd.aggregate.event_codec import ACTOR, CAUSATION, CORRELATION, ID, STAMPS
from modd.cli.content import MASK_TEXT, decode_data, explain_undecodable, to_plain_data
from modd.cli.reports import Content
from modd.core import Message, fields_in, wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.errors import Undecodable
from modd.cqrs.wire import Head, StampHead, values_in
from modd.ports.tagged import TYPE_HEADER

SHOWN_HEADERS = (ID, CAUSATION, CORRELATION, ACTOR, STAMPS)
"""Headers that have a place of their own in a report."""


Decode: TypeAlias = Callable[[bytes], Message]


class EventView(NamedTuple):
    """The visible content of an event, its actor, its further headers, and the event itself if it was decoded."""

    content: Content
    actor: str | None
    headers: dict[str, str]
    event: Message | None


class EventViewer:
    """Views recorded events: raw, decoded, or as outlines.

    codecs: decode the bodies. option: the option of the command that they come from, for notes.
    is_raw: True to show everything, as it is stored.
    """

    def __init__(self, codecs: Sequence[Codec] = (), option: str = "--types", *, is_raw: bool = False) -> None:
        self._option, self._is_raw = option, is_raw
        self._decoders: list[Decode] = [each.decode_message for each in (*codecs, Codec(ACCESS_EVENTS))]
        self._has_types = bool(codecs)

    def decode(self, body: bytes) -> Message | None:
        """Return an event; None for one that cannot be decoded."""
        return self._decode(body, [])

    def view(self, body: bytes, headers: Mapping[str, str]) -> EventView:
        """View an event by its body and its headers."""
        event = None
        try:
            content, event = self._view_body(body)
        except RecursionError:
            content = Content(len(body), note="it is nested too deeply to be shown")
        ids = headers.get(ID), headers.get(CORRELATION), headers.get(CAUSATION)
        names = dict(zip(("id", "correlation_id", "causation_id"), ids, strict=True))
        content = msgspec.structs.replace(content, **names, stamps=self._stamps(headers))
        actor = headers.get(ACTOR)
        shown = actor if self._is_raw or self._has_types else actor and MASK_TEXT
        return EventView(content, shown, self._further(headers), event)

    def _view_body(self, body: bytes) -> tuple[Content, Message | None]:
        data = decode_data(body)
        head = _head_of(data)
        if self._is_raw:
            return _describe(len(body), head, **_shown(data)), None
        errors: list[Undecodable] = []
        event = self._decode(body, errors)
        if event is not None:
            head = Head(wire_name(type(event)), type(event).schema_version)
            return _describe(len(body), head, **_shown(event)), event
        return _describe(len(body), head, note=self._explain(head, errors)), None

    def _decode(self, body: bytes, errors: list[Undecodable]) -> Message | None:
        """Return an event, or None with an error for each codec."""
        for decode in self._decoders:
            try:
                return decode(body)
            except Undecodable as error:
                errors.append(error)
        return None

    def _explain(self, head: Head | None, errors: Sequence[Undecodable]) -> str:
        if self._has_types and head is not None:
            return explain_undecodable(errors, self._option)
        cure = "give --types or --aggregate to decode it, or --raw to show everything"
        return cure if head is not None else f"no message; {cure}"

    def _stamps(self, headers: Mapping[str, str]) -> list[Any]:
        """Return the stamps that an event has inherited: whole if it is shown raw, else their names."""
        try:
            data = msgspec.json.decode(headers.get(STAMPS, "[]"))
            heads = msgspec.convert(data, list[StampHead])
        except (msgspec.MsgspecError, RecursionError):
            return []
        return data if self._is_raw else [each.name for each in heads]

    def _further(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {name: self._visible(name, text) for name, text in headers.items() if name not in SHOWN_HEADERS}

    def _visible(self, name: str, text: str) -> str:
        return text if self._is_raw or name == TYPE_HEADER else MASK_TEXT


def marked_values(value: Any) -> Iterator[Any]:
    """Yield the plain values in the sensitive fields of a value, to any depth."""
    fields = fields_in(value)
    for _, part, is_marked in fields:
        yield from values_in(to_plain_data(part)) if is_marked else marked_values(part)
    if not fields and isinstance(value, (dict, list, tuple, set, frozenset)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from marked_values(part)


def _head_of(data: Any) -> Head | None:
    try:
        return msgspec.convert(data, Head)
    except msgspec.ValidationError:
        return None


def _describe(size: int, head: Head | None, **visible: Any) -> Content:
    content = Content(size) if head is None else Content(size, head.name, head.version)
    return msgspec.structs.replace(content, **visible)


def _shown(value: Any) -> dict[str, Any]:
    return {"shown": True, "body": to_plain_data(value)}
