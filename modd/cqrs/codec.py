"""The codec: envelopes as bytes and back, by registered types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec

from modd.checks import checked_callable, checked_list
from modd.core import Message, mask_values, misfit_of, wire_name
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
    EnvelopeData,
    HandledData,
    Head,
    RedispatchedData,
    StampHead,
    encoder,
    values_in,
)
from modd.errors import DuplicateName, InvalidOption


class Codec:
    """An encoder and decoder of envelopes, for queues and other stores of bytes.

    Only registered types are decoded; the bytes cannot name any other. Stamps of unknown types are encoded again as
    they came; local stamps are left out.

    Give a message type whose fields have changed a higher ``schema_version``, and the codec an upcaster from each older
    version to the next: ``{Placed: {1: lambda old: old | {"currency": "EUR"}}}``. An upcaster takes and returns the
    fields as they are on the wire, and serves derived types too. If no older data is left, give ``{}``. For a type that
    was renamed, give the old name: its last upcaster returns the new name too, as ``$type``, and the version, as
    ``$version``, unless it is 1. A message in a field of a message has no version.

    types: the message types to encode and decode.
    stamps: your own stamp types; by default none.
    format: "json" (default), which is readable, or "msgpack", which is smaller; the other format is not decoded.
    upcasters: functions by type or old name, then by version; by default none.
    enc_hook, dec_hook: functions for values that msgspec does not know, as msgspec defines them; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work.
        DuplicateName: two types have the same name on the wire.
        InvalidUpcasters: the upcasters of a type leave a gap, or one is superfluous.
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
        types, stamps = checked_list("types", types), checked_list("stamps", stamps)
        self._messages: dict[str, type[Message]] = _by_name("types", types, Message)
        self._stamps: dict[str, type[Stamp]] = _by_name("stamps", (*BUILT_IN, *stamps), Stamp)
        self._upcasting = Upcasting(self._messages, upcasters)
        self._current = {
            (name, version_of(kind)): kind for name, kind in self._messages.items() if _allows_version(kind)
        }
        """Types by name and version, for data that needs no upcaster."""
        self._encode: Callable[[Any], bytes] = encoder(format, enc_hook)
        self._read = Decoders(format, dec_hook)
        self._results = Decoders(format, dec_hook, result_type)

    def encode(self, envelope: Envelope[Any]) -> bytes:
        """Return the envelope as bytes.

        Raises `InvalidOption` for a message without its envelope and for a type that is not registered, and the error
        of msgspec for an unknown value.
        """
        if not isinstance(envelope, Envelope):
            raise InvalidOption("envelope", envelope, "the codec encodes envelopes; give it Envelope(message)")
        identity, *stamps = envelope.stamps
        kind = type(envelope.message)
        if self._messages.get(wire_name(kind)) is not kind:
            raise InvalidOption("Codec", kind, "give it the types of all messages that it is to encode")
        message = self._message_data(envelope.message)
        encoded = [self._stamp_data(stamp) for stamp in stamps if not stamp.local]
        return self._encode({"identity": identity, "message": message, "stamps": encoded})

    def decode(self, data: bytes) -> Envelope[Any]:
        """Return the envelope, ready to be dispatched, with a `Received` stamp.

        Raises `Undecodable`, without values of the data and without a cause, which may have them.
        """
        try:
            parts: EnvelopeData = self._read[EnvelopeData](data)
            message = self._decode_message(parts.message)
            stamps = [self._decode_stamp(each, message) for each in parts.stamps]
            return Envelope.restore(message, parts.identity, (*stamps, Received()))
        except Exception as error:  # a hook may raise anything when data does not fit
            reason = self._without_values(error, data)
        raise Undecodable(reason, self._messages)

    def _without_values(self, error: Exception, data: bytes) -> Exception:
        """Return an error of a decoder with no values of the data in its text."""
        kind = type(error) if isinstance(error, (KeyError, msgspec.MsgspecError)) else ValueError
        where, text = misfit_of(error, "$")
        text = str(error.args[0]) if isinstance(error, KeyError) else text if where == "$" else f"{text} - at `{where}`"
        with suppress(Exception):  # these bytes are no data at all: the text is that of a decoder, and tells a position
            text = mask_values(text, [*values_in(self._read[Any](data))])
        return kind(text)

    def _message_data(self, message: Message) -> Any:
        """Return the data of a message, with its version unless it is 1."""
        kind = type(message)
        if kind.schema_version == 1:
            return message
        return {TYPE: wire_name(kind), VERSION: version_of(kind)} | self._read[dict](self._encode(message))

    def _stamp_data(self, stamp: Stamp) -> Any:
        """Return the data of a stamp."""
        if isinstance(stamp, UnknownStamp):
            return stamp.data
        if isinstance(stamp, Redispatched):
            stamps = [self._stamp_data(each) for each in stamp.stamps if not each.local]
            return {STAMP: "Redispatched", "stamps": stamps, "at": stamp.at}
        if type(stamp) is Emitted:
            return {STAMP: "Emitted", "event": self._message_data(stamp.event), "at": stamp.at}
        return stamp

    def _decode_message(self, data: msgspec.Raw) -> Message:
        head = self._read_head(data)
        kind = self._current.get((head.name, head.version))
        message: Message = self._upcast(head, data) if kind is None else self._read[kind](data)
        return message

    def _read_head(self, data: msgspec.Raw) -> Head:
        try:
            head: Head = self._read[Head](data)
            return head
        except msgspec.ValidationError as error:
            wanted = f"with the indices {TYPE}, a text, and {VERSION}, a whole number that may be left out"
            raise TypeError(f"a message is a mapping {wanted}") from error

    def _upcast(self, head: Head, data: msgspec.Raw) -> Any:
        fields = self._read[dict](data)
        del fields[TYPE]
        fields.pop(VERSION, None)
        name, fields = self._upcasting.upcast(head.name, head.version, fields)
        return self._read[self._messages[name]](self._encode(fields | {TYPE: name}))

    def _decode_stamp(self, data: msgspec.Raw, message: Message) -> Stamp:
        """Return the stamp of its data, on the envelope of this message."""
        kind = self._stamps.get(self._read[StampHead](data).name)
        if kind is None:
            return self._keep_unknown(data)
        if kind is Emitted:
            return self._decode_emitted(data)
        if kind is Redispatched:
            earlier: RedispatchedData = self._read[RedispatchedData](data)
            return Redispatched(tuple(self._decode_stamp(each, message) for each in earlier.stamps), at=earlier.at)
        if kind is Handled:
            handled: HandledData = self._read[HandledData](data)
            return Handled(self._results[type(message)](handled.result), handled.handler, at=handled.at)
        stamp: Stamp = self._read[kind](data)
        return stamp

    def _decode_emitted(self, data: msgspec.Raw) -> Stamp:
        emitted: EmittedData = self._read[EmittedData](data)
        if self._read_head(emitted.event).name not in self._upcasting:
            return self._keep_unknown(data)
        return Emitted(self._decode_message(emitted.event), at=emitted.at)

    def _keep_unknown(self, data: msgspec.Raw) -> Stamp:
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
    by_name: dict[str, Any] = {}
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise InvalidOption(option, kind, f"give types derived from {base.__name__}")
        if not _has_readable_name(kind, base):
            raise InvalidOption(
                option, kind, "give types with a text as their tag, and neither tag_field nor array_like"
            )
        known = by_name.setdefault(wire_name(kind), kind)
        if known is not kind:
            raise DuplicateName(wire_name(kind), known, kind, "the codec")
    return by_name


def _has_readable_name(kind: type[Any], base: type[Any]) -> bool:
    """Return True if data of the type has its name under the key that the codec reads."""
    config = kind.__struct_config__
    return (
        isinstance(config.tag, str) and config.tag_field == base.__struct_config__.tag_field and not config.array_like
    )


def _allows_version(kind: type[Message]) -> bool:
    """Return True if data of the type may have a version beside its fields."""
    return not kind.__struct_config__.forbid_unknown_fields


def codec_of(buses: Sequence[Any]) -> Codec:
    """Return a codec of the types that these typed buses handle, and of the stamps that their middleware add.

    Raises `DuplicateName` when two buses handle different types of one name.
    """
    types = [kind for bus in buses for kind in bus.types]
    middleware = [each for bus in buses for each in bus.middleware]
    return Codec((*types, *with_derived(types)), [kind for each in middleware for kind in getattr(each, "stamps", ())])
