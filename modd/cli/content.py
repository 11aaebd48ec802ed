"""What may be shown of a body: a store knows no types, so that nobody can tell what in it is sensitive.

So by default only the outline of an envelope is shown, and texts about it, such as the reason of a dead letter, lose
all values that are in it. With types, everything is shown but what they mark as `Sensitive`.
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

MASKED = "***"


class Outline(msgspec.Struct):
    """An envelope, without its content."""

    identity: Identity
    message: Head
    stamps: list[StampHead]


class Unknown(Message):
    """Stands for a message of a type that is not known: all of its values may be sensitive."""

    values: Annotated[list[Any], Sensitive]


class View(NamedTuple):
    """What may be shown of a body, and what makes texts fit to be shown that were written about it."""

    content: Content
    clean: Callable[[str], str]


Viewer: TypeAlias = Callable[[bytes], View]


def hidden(body: bytes, note: str = "give --types, or --raw for all that is in it") -> View:
    """Its size and, of an envelope, the name of its type, its ids and the names of its stamps."""
    outline, data = _outline(body), _data(body)
    if outline is None:
        clean = partial(mask_secrets, message=Unknown([*_values(data)]))
        return View(Content(len(body), note=f"no envelope; {note}"), clean)
    clean = partial(mask_secrets, message=Unknown([*_values(data["message"]), *_values(data["stamps"])]))
    stamps = [stamp.name for stamp in outline.stamps]
    return View(msgspec.structs.replace(_described(body, outline), stamps=stamps, note=note), clean)


def raw(body: bytes) -> View:
    """All that is in it: as data if it is JSON or msgpack, else as text or in hexadecimal digits."""
    outline, data = _outline(body), _data(body)
    if outline is None:
        return View(Content(len(body), shown=True, body=visible(data)), str)
    content = _described(body, outline)
    shown = {"stamps": visible(data["stamps"]), "body": visible(data["message"]), "shown": True}
    return View(msgspec.structs.replace(content, **shown), str)


def typed(codecs: Sequence[Codec], body: bytes) -> View:
    """All that is in it, with what is sensitive masked, also in texts about it; its outline if no codec can read it."""
    reasons: list[Exception] = []
    for codec in codecs:
        try:
            return _decoded(codec.decode(body), body)
        except Undecodable as error:
            reasons.append(error.reason)
    kinds = {type(reason).__name__ for reason in reasons}  # their texts may have something of the content in them
    unknown = kinds == {"KeyError"}
    return hidden(body, "none of --types is this type" if unknown else f"not of --types: {', '.join(sorted(kinds))}")


def viewer(codecs: Sequence[Codec], is_raw: bool) -> Viewer:
    """What shows bodies: in full, as these codecs know them or, without any, by their outlines."""
    if is_raw:
        return raw
    return partial(typed, codecs) if codecs else hidden


def visible(value: Any, clean: Callable[[str], str] = str) -> Any:
    """A value as plain data, without what is sensitive in it. clean: makes texts fit to be shown."""
    go = partial(visible, clean=clean)
    if isinstance(value, (int, float, type(None))):
        return value
    if isinstance(value, UnknownStamp):  # nobody knows what of it is sensitive
        return {STAMP: str(value.data.get(STAMP))}
    if isinstance(value, dict):
        return {clean(key if isinstance(key, str) else str(go(key))): go(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [go(part) for part in value]
    if isinstance(value, msgspec.Struct):
        return _tagged(value) | _fields(value, value.__struct_fields__, go)
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value, [field.name for field in fields(value)], go)
    return clean(value.hex() if isinstance(value, bytes) else str(value))


def _decoded(envelope: Envelope[Any], body: bytes) -> View:
    clean, message = partial(mask_secrets, message=envelope.message), envelope.message
    outline = Outline(envelope.identity, Head(wire_name(type(message)), type(message).schema_version), [])
    stamps = [visible(stamp, clean) for stamp in envelope.stamps[1:] if not stamp.local]
    shown = {"stamps": stamps, "body": visible(message), "shown": True}
    return View(msgspec.structs.replace(_described(body, outline), **shown), clean)


def _described(body: bytes, outline: Outline) -> Content:
    identity = outline.identity
    ids = identity.id, identity.correlation_id, identity.causation_id
    return Content(len(body), outline.message.name, outline.message.version, *ids)


def _outline(body: bytes) -> Outline | None:
    for format in FORMATS.values():
        try:
            outline: Outline = format.decode(body, type=Outline)
            return outline
        except (msgspec.MsgspecError, ValueError):
            continue
    return None


def _data(body: bytes) -> Any:
    for format in FORMATS.values():
        try:
            data = format.decode(body)
        except (msgspec.MsgspecError, ValueError):
            continue
        if format is msgspec.json or isinstance(data, (dict, list)):  # a letter is a number in msgpack
            return data
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.hex()


def _values(data: Any) -> Iterator[Any]:
    """What is in data, to any depth, without the names of fields and types."""
    if isinstance(data, dict):
        for name, part in data.items():
            if name not in (TYPE, STAMP):
                yield from _values(part)
    elif isinstance(data, list):
        for part in data:
            yield from _values(part)
    else:
        yield data


def _tagged(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    return {config.tag_field: config.tag} if isinstance(config.tag_field, str) else {}


def _fields(value: Any, names: Iterable[str], go: Callable[[Any], Any]) -> dict[str, Any]:
    kind: type = type(value)
    marked = sensitive_fields(kind)
    return {name: MASKED if name in marked else go(getattr(value, name)) for name in names}
