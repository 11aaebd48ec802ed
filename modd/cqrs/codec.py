"""Envelopes as bytes and back, by registered types (MI-11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from modd.checks import checked_callable
from modd.core import Message, wire_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Undecodable
from modd.cqrs.intents import result_type, with_derived
from modd.cqrs.stamps import BUILT_IN, Emitted, Handled, Received, Redispatched, Stamp, UnknownStamp
from modd.cqrs.upcasting import Upcaster, Upcasting, version_of
from modd.cqrs.wire import (
    FORMATS,
    STAMP,
    TYPE,
    VERSION,
    Decoders,
    EmittedData,
    HandledData,
    Head,
    RedispatchedData,
    StampHead,
    Whole,
)
from modd.errors import DuplicateName, InvalidOption


class Codec:
    """Makes bytes of envelopes and envelopes of bytes, for queues and other places that keep bytes.

    Only registered types are ever made: nothing in the bytes can name another. Stamps of unknown types are kept as they
    are and encoded again; local stamps are left out.

    A message type that has changed says so with a ``schema_version``, and the codec has upcasters that make data of
    each older version data of the next: ``{Placed: {1: lambda old: old | {"currency": "EUR"}}}``. They take and give
    the fields as they are on the wire, and serve derived types too. Where no older data is left, give ``{}``. For a
    name that no type has any more, give the name: its last upcaster gives the new name too, as ``$type``, and the
    version, as ``$version``, unless that is 1. A message in a field of another one has no version of its own.

    types: the types of messages that it may make. stamps: the types of stamps of your own. format: "json", which people
    can read, or "msgpack", which is smaller; what is in the other one is not decoded. upcasters: as above. enc_hook,
    dec_hook: for values that msgspec does not know, as msgspec defines them. Raises `DuplicateName`, `InvalidOption`,
    `InvalidUpcasters`.
    """

    def __init__(
        self,
        types: Iterable[type[Message]],
        stamps: Iterable[type[Stamp]] = (),
        *,
        format: Literal["json", "msgpack"] = "json",
        upcasters: Mapping[Any, Mapping[int, Upcaster]] = {},
        enc_hook: Callable[[Any], Any] | None = None,
        dec_hook: Callable[[type, Any], Any] | None = None,
    ) -> None:
        _check_options(format, enc_hook, dec_hook)
        self._messages: dict[str, type[Message]] = _by_name("types", types, Message)
        self._stamps: dict[str, type[Stamp]] = _by_name("stamps", (*BUILT_IN, *stamps), Stamp)
        self._upcasting = Upcasting(self._messages, upcasters)
        self._current = {(name, version_of(kind)): kind for name, kind in self._messages.items() if _is_open(kind)}
        """Types by the names and versions under which data needs no more than to be decoded."""
        self._encode: Callable[[Any], bytes] = FORMATS[format].Encoder(enc_hook=enc_hook).encode
        self._read = Decoders(format, dec_hook)
        self._results = Decoders(format, dec_hook, result_type)

    def encode(self, envelope: Envelope[Any]) -> bytes:
        """The envelope as bytes. Raises what msgspec raises for values that it does not know, and `InvalidOption`."""
        identity, *stamps = envelope.stamps
        kind = type(envelope.message)
        if self._messages.get(wire_name(kind)) is not kind:
            raise InvalidOption("Codec", kind, "give it the types of all messages that it is to encode")
        message = self._versioned(envelope.message)
        kept = [self._kept(stamp) for stamp in stamps if not stamp.local]
        return self._encode({"identity": identity, "message": message, "stamps": kept})

    def decode(self, data: bytes) -> Envelope[Any]:
        """The envelope, ready to be dispatched; it has a `Received` stamp. Raises `Undecodable`."""
        try:
            whole: Whole = self._read[Whole](data)
            message = self._message(whole.message)
            stamps = [self._made(each, message) for each in whole.stamps]
            return Envelope.restore(message, whole.identity, (*stamps, Received()))
        except Exception as error:  # a hook may raise anything when data does not fit
            raise Undecodable(error, self._messages) from error

    def _versioned(self, message: Message) -> Any:
        """What is encoded for a message."""
        kind = type(message)
        if kind.schema_version == 1:
            return message
        return {TYPE: wire_name(kind), VERSION: version_of(kind)} | self._read[dict](self._encode(message))

    def _kept(self, stamp: Stamp) -> Any:
        """What is encoded for a stamp."""
        if isinstance(stamp, UnknownStamp):
            return stamp.data
        if isinstance(stamp, Redispatched):
            kept = [self._kept(each) for each in stamp.stamps if not each.local]
            return {STAMP: "Redispatched", "stamps": kept, "at": stamp.at}
        if type(stamp) is Emitted:
            return {STAMP: "Emitted", "event": self._versioned(stamp.event), "at": stamp.at}
        return stamp

    def _message(self, data: msgspec.Raw) -> Message:
        head = self._head(data)
        kind = self._current.get((head.name, head.version))
        message: Message = self._renewed(head, data) if kind is None else self._read[kind](data)
        return message

    def _head(self, data: msgspec.Raw) -> Head:
        try:
            head: Head = self._read[Head](data)
            return head
        except msgspec.ValidationError as error:
            wanted = f"with the indices {TYPE}, a text, and {VERSION}, a whole number that may be left out"
            raise TypeError(f"a message is a mapping {wanted}") from error

    def _renewed(self, head: Head, data: msgspec.Raw) -> Any:
        fields = self._read[dict](data)
        del fields[TYPE]
        fields.pop(VERSION, None)
        name, fields = self._upcasting.renewed(head.name, head.version, fields)
        return self._read[self._messages[name]](self._encode(fields | {TYPE: name}))

    def _made(self, data: msgspec.Raw, message: Message) -> Stamp:
        """The stamp that data stands for, on the envelope of a message."""
        kind = self._stamps.get(self._read[StampHead](data).name)
        if kind is None:
            return self._unknown(data)
        if kind is Emitted:
            return self._emitted(data)
        if kind is Redispatched:
            before: RedispatchedData = self._read[RedispatchedData](data)
            return Redispatched(tuple(self._made(each, message) for each in before.stamps), at=before.at)
        if kind is Handled:
            done: HandledData = self._read[HandledData](data)
            return Handled(self._results[type(message)](done.result), done.handler, at=done.at)
        stamp: Stamp = self._read[kind](data)
        return stamp

    def _emitted(self, data: msgspec.Raw) -> Stamp:
        emitted: EmittedData = self._read[EmittedData](data)
        if self._head(emitted.event).name not in self._upcasting:
            return self._unknown(data)
        return Emitted(self._message(emitted.event), at=emitted.at)

    def _unknown(self, data: msgspec.Raw) -> Stamp:
        plain = self._read[dict](data)
        at = plain.get("at")
        return UnknownStamp(plain, at=float(at) if isinstance(at, (int, float)) else 0.0)


def _check_options(format: Any, enc_hook: Any, dec_hook: Any) -> None:
    if not isinstance(format, str) or format not in FORMATS:
        raise InvalidOption("format", format, f"give one of: {', '.join(FORMATS)}")
    for option, hook in (("enc_hook", enc_hook), ("dec_hook", dec_hook)):
        if hook is not None:
            checked_callable(option, hook)


def _by_name(option: str, kinds: Iterable[Any], base: type[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise InvalidOption(option, kind, f"give types derived from {base.__name__}")
        if not _can_be_told(kind, base):
            raise InvalidOption(
                option, kind, "give types with a text as their tag, and neither tag_field nor array_like"
            )
        known = named.setdefault(wire_name(kind), kind)
        if known is not kind:
            raise DuplicateName(wire_name(kind), known, kind, "the codec")
    return named


def _can_be_told(kind: type[Any], base: type[Any]) -> bool:
    """Whether data of the type has its name where the codec looks for it."""
    config = kind.__struct_config__
    return (
        isinstance(config.tag, str) and config.tag_field == base.__struct_config__.tag_field and not config.array_like
    )


def _is_open(kind: type[Message]) -> bool:
    """Whether data of the type may have a version beside its fields."""
    return not kind.__struct_config__.forbid_unknown_fields


def codec_of(buses: Sequence[Any]) -> Codec:
    """A codec of all that these typed buses handle, and of the stamps that their middleware add.

    Raises `DuplicateName` when two of them handle different types of one name.
    """
    types = [kind for bus in buses for kind in bus.types]
    middleware = [each for bus in buses for each in bus.middleware]
    return Codec((*types, *with_derived(types)), [kind for each in middleware for kind in getattr(each, "stamps", ())])
