"""Views of the body of a queue item.

A store has no message types, so without ``--types`` every value in a body may be sensitive. By default a view has the
outline of an envelope only, and texts about the body, such as the reason of a dead letter, lose all values of the body.
With types, everything is shown but the fields that are marked as `Sensitive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec

from modd.cli.reports import Content
from modd.core import Message, Sensitive, sensitive_fields, wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Undecodable
from modd.cqrs.stamps import Identity, UnknownStamp
from modd.cqrs.wire import FORMATS, STAMP, TYPE, Head, StampHead
from modd.middleware.masking import mask_secrets

MASK_TEXT = "***"


class EnvelopeOutline(msgspec.Struct):
    """An envelope without the fields of its message and stamps."""

    identity: Identity
    message: Head
    stamps: list[StampHead]


class UnknownMessage(Message):
    """A message of an unknown type: all of its values count as sensitive."""

    values: Annotated[list[Any], Sensitive]


class BodyView(NamedTuple):
    """The visible content of a body, and a function that masks values of the body in a text."""

    content: Content
    mask: Callable[[str], str]


Viewer: TypeAlias = Callable[[bytes], BodyView]


def view_outline(body: bytes, note: str = "give --types to decode it, or --raw to show everything") -> BodyView:
    """View the size of a body and, for an envelope, its type, its ids and the names of its stamps."""
    outline, data = _decode_outline(body), _decode_data(body)
    if outline is None:
        mask = partial(mask_secrets, message=UnknownMessage([*_values(data)]))
        return BodyView(Content(len(body), note=f"no envelope; {note}"), mask)
    mask = partial(mask_secrets, message=UnknownMessage([*_values(data["message"]), *_values(data["stamps"])]))
    stamps = [stamp.name for stamp in outline.stamps]
    return BodyView(msgspec.structs.replace(_describe(body, outline), stamps=stamps, note=note), mask)


def view_raw(body: bytes) -> BodyView:
    """View everything in a body: JSON and msgpack as data, else text or hexadecimal digits."""
    outline, data = _decode_outline(body), _decode_data(body)
    if outline is None:
        return BodyView(Content(len(body), shown=True, body=to_plain_data(data)), str)
    content = _describe(body, outline)
    visible = {"stamps": to_plain_data(data["stamps"]), "body": to_plain_data(data["message"]), "shown": True}
    return BodyView(msgspec.structs.replace(content, **visible), str)


def view_decoded(codecs: Sequence[Codec], body: bytes) -> BodyView:
    """View a message without its sensitive fields; the outline if no codec can decode the body."""
    reasons: list[Exception] = []
    for codec in codecs:
        try:
            return _view_envelope(codec.decode(body), body)
        except Undecodable as error:
            reasons.append(error.reason)
    names = {type(reason).__name__ for reason in reasons}  # not their texts, which may quote the content
    if names == {"KeyError"}:
        return view_outline(body, "--types has no type of this name")
    return view_outline(body, f"--types cannot decode it: {', '.join(sorted(names))}")


def choose_viewer(codecs: Sequence[Codec], is_raw: bool) -> Viewer:
    """Return the function that views bodies: raw, decoded with these codecs or, without any, as outlines."""
    if is_raw:
        return view_raw
    return partial(view_decoded, codecs) if codecs else view_outline


def to_plain_data(value: Any, mask: Callable[[str], str] = str) -> Any:
    """Convert a value to plain data without its sensitive fields. mask: a function for each text in it."""
    convert = partial(to_plain_data, mask=mask)
    if isinstance(value, (int, float, type(None))):
        return value
    if isinstance(value, UnknownStamp):  # its type is unknown, so every field may be sensitive
        return {STAMP: str(value.data.get(STAMP))}
    if isinstance(value, dict):
        return {mask(key if isinstance(key, str) else str(convert(key))): convert(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [convert(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _tag(value) | _convert_fields(value, value.__struct_fields__, convert)
    if is_dataclass(value) and not isinstance(value, type):
        return _convert_fields(value, [field.name for field in fields(value)], convert)
    return mask(value.hex() if isinstance(value, bytes) else str(value))


def _view_envelope(envelope: Envelope[Any], body: bytes) -> BodyView:
    mask, message = partial(mask_secrets, message=envelope.message), envelope.message
    outline = EnvelopeOutline(envelope.identity, Head(wire_name(type(message)), type(message).schema_version), [])
    stamps = [to_plain_data(stamp, mask) for stamp in envelope.stamps[1:] if not stamp.local]
    visible = {"stamps": stamps, "body": to_plain_data(message), "shown": True}
    return BodyView(msgspec.structs.replace(_describe(body, outline), **visible), mask)


def _describe(body: bytes, outline: EnvelopeOutline) -> Content:
    identity = outline.identity
    ids = identity.id, identity.correlation_id, identity.causation_id
    return Content(len(body), outline.message.name, outline.message.version, *ids)


def _decode_outline(body: bytes) -> EnvelopeOutline | None:
    for format in FORMATS.values():
        try:
            outline: EnvelopeOutline = format.decode(body, type=EnvelopeOutline)
            return outline
        except (msgspec.MsgspecError, ValueError):
            continue
    return None


def _decode_data(body: bytes) -> Any:
    for format in FORMATS.values():
        try:
            data = format.decode(body)
        except (msgspec.MsgspecError, ValueError):
            continue
        if format is msgspec.json or isinstance(data, (dict, list)):  # a single letter is a number in msgpack
            return data
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.hex()


def _values(data: Any) -> Iterator[Any]:
    """Yield the values in decoded data, to any depth, without the names of fields and types."""
    if isinstance(data, dict):
        for name, item in data.items():
            if name not in (TYPE, STAMP):
                yield from _values(item)
    elif isinstance(data, list):
        for item in data:
            yield from _values(item)
    else:
        yield data


def _tag(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    return {config.tag_field: config.tag} if isinstance(config.tag_field, str) else {}


def _convert_fields(value: Any, names: Iterable[str], convert: Callable[[Any], Any]) -> dict[str, Any]:
    kind: type = type(value)
    sensitive = sensitive_fields(kind)
    return {name: MASK_TEXT if name in sensitive else convert(getattr(value, name)) for name in names}
