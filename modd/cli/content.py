"""Views of the body of a queue item.

A store has no message types, so without ``--types`` every value in a body may be sensitive. By default a view has the
outline of an envelope only, and texts about the body, such as the reason of a dead letter, lose all values of the body.
With types, everything is shown but the fields that are marked as `Sensitive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec

from modd.cli.reports import Content
from modd.core import Message, Sensitive, fields_in, mask_secrets, wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Undecodable, UnknownType
from modd.cqrs.stamps import Identity, UnknownStamp
from modd.cqrs.wire import FORMATS, SCALARS, STAMP, Head, StampHead, values_in

MASK_TEXT = "***"


MOST_VALUES = 10_000
"""Most values of a body that are looked for in a text, such as the reason of a dead letter."""


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
    data = decode_data(body)
    outline = _outline_of(data)
    if outline is None:
        return BodyView(Content(len(body), note=f"no envelope; {note}"), mask_of(values_in(data)))
    mask = mask_of(chain(values_in(data["message"]), values_in(data["stamps"])))
    stamps = [stamp.name for stamp in outline.stamps]
    return BodyView(msgspec.structs.replace(_describe(body, outline), stamps=stamps, note=note), mask)


def view_raw(body: bytes) -> BodyView:
    """View everything in a body: JSON and msgpack as data, else text or hexadecimal digits."""
    data = decode_data(body)
    outline = _outline_of(data)
    if outline is None:
        return BodyView(Content(len(body), shown=True, body=to_plain_data(data)), str)
    content = _describe(body, outline)
    visible = {"stamps": to_plain_data(data["stamps"]), "body": to_plain_data(data["message"]), "shown": True}
    return BodyView(msgspec.structs.replace(content, **visible), str)


def view_decoded(codecs: Sequence[Codec], body: bytes) -> BodyView:
    """View a message without its sensitive fields; the outline if no codec can decode the body."""
    errors: list[Undecodable] = []
    for codec in codecs:
        try:
            return _view_envelope(codec.decode(body), body)
        except Undecodable as error:
            errors.append(error)
    return view_outline(body, explain_undecodable(errors, "--types"))


def explain_undecodable(errors: Sequence[Undecodable], option: str) -> str:
    """Return the reason for which no codec of an option can decode a body, without values of it."""
    for each in errors:
        if isinstance(each, UnknownType) and not isinstance(each.reason, KeyError):
            cure = "name a codec that reads it, with upcasters, such as --types shop.app:CODEC"
            return f"{each.reason}; {cure}"  # a text of the name and the version alone
    names = {type(each.reason).__name__ for each in errors}  # not their texts, which may quote the content
    if names == {"KeyError"}:
        return f"{option} has no type of this name"
    return f"{option} cannot decode it: {', '.join(sorted(names))}"


def choose_viewer(codecs: Sequence[Codec], is_raw: bool) -> Viewer:
    """Return the function that views bodies: raw, decoded with these codecs or, without any, as outlines."""
    if is_raw:
        return partial(_view_unless_too_deep, view_raw)
    return partial(_view_unless_too_deep, partial(view_decoded, codecs) if codecs else view_outline)


def to_plain_data(value: Any, mask: Callable[[str], str] = str) -> Any:
    """Convert a value to plain data without its sensitive fields. mask: a function for each text in it."""
    convert = partial(to_plain_data, mask=mask)
    if isinstance(value, (int, float, type(None))):
        return value
    if isinstance(value, UnknownStamp):  # its type is unknown, so every field may be sensitive
        return {STAMP: str(value.data.get(STAMP))}
    if isinstance(value, dict):
        return {mask(key if isinstance(key, str) else str(convert(key))): convert(item) for key, item in value.items()}
    fields = fields_in(value)
    if fields or isinstance(value, msgspec.Struct):
        return _tag(value) | {name: MASK_TEXT if is_marked else convert(item) for name, item, is_marked in fields}
    if type(value) is str:
        return mask(value)
    if mask is str and isinstance(value, list) and SCALARS.issuperset(map(type, value)):  # quick for thousands of them
        return [*value]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [convert(item) for item in value]
    return mask(value.hex() if isinstance(value, bytes) else str(value))


def _view_unless_too_deep(view: Viewer, body: bytes) -> BodyView:
    try:
        return view(body)
    except RecursionError:
        return BodyView(Content(len(body), note="it is nested too deeply to be shown"), lambda text: MASK_TEXT)


def mask_of(values: Iterator[Any]) -> Callable[[str], str]:
    """Return the function that masks these values in a text; all of the text if there are too many to look for."""
    first = [*islice(values, MOST_VALUES + 1)]
    if len(first) > MOST_VALUES:
        return lambda _: MASK_TEXT
    return partial(mask_secrets, message=UnknownMessage(first))


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


def _outline_of(data: Any) -> EnvelopeOutline | None:
    try:
        return msgspec.convert(data, EnvelopeOutline)
    except msgspec.ValidationError:
        return None


def decode_data(body: bytes) -> Any:
    """Return the data of a body: of JSON and msgpack, else text or hexadecimal digits."""
    for format in FORMATS.values():
        try:
            data = format.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        if format is msgspec.json or isinstance(data, (dict, list)):  # a single letter is a number in msgpack
            return data
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.hex()


def _tag(value: Any) -> dict[str, Any]:
    config = getattr(value, "__struct_config__", None)
    return {config.tag_field: config.tag} if config is not None and isinstance(config.tag_field, str) else {}
