"""The codec: envelopes as bytes and back, by registered types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Literal, Union

import msgspec

from modd.checks import checked_callable, checked_list
from modd.core import Message, mask_values, misfit_of, wire_name
from modd.cqrs.decodable import check_decodable, decodable, types_by_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Undecodable, Unencodable, UnknownType
from modd.cqrs.intents import result_type, with_derived
from modd.cqrs.round_trip import RoundTrip, is_certain
from modd.cqrs.stamps import BUILT_IN, Emitted, Handled, Received, Redispatched, Stamp, UnknownStamp
from modd.cqrs.upcasting import Upcaster, Upcasting, version_of
from modd.cqrs.wire import (
    FORMATS,
    TYPE,
    VERSION,
    VERSION_MARKS,
    Decoders,
    EmittedData,
    EncodedMessage,
    EnvelopeData,
    HandledData,
    Head,
    RedispatchedData,
    StampHead,
    values_in,
)
from modd.errors import InvalidOption


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
        InvalidOption: an option has a value that cannot work, or a field of a type cannot be decoded.
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
        self._messages: dict[str, type[Message]] = types_by_name("types", types, Message)
        self.types = frozenset(self._messages.values())
        """The types of message that it knows."""
        self._stamps: dict[str, type[Stamp]] = types_by_name("stamps", (*BUILT_IN, *stamps), Stamp)
        self._upcasting = Upcasting(self._messages, upcasters)
        self._current = {
            (name, version_of(kind)): kind for name, kind in self._messages.items() if _allows_version(kind)
        }
        """Types by name and version, for data that needs no upcaster."""
        self._first = tuple(kind for (_, version), kind in self._current.items() if version == 1)
        """Types that are at their first version."""
        self._round_trip = RoundTrip(format, enc_hook)
        self._frame: Callable[[Any], bytes] = FORMATS[format].Encoder().encode
        self._read = Decoders(format, dec_hook)
        self._results = Decoders(format, dec_hook, result_type)
        for kind in (*self._messages.values(), *stamps):  # those built in are decodable, and made at their first use
            self._decoder_of(kind)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(self._messages) or 'no types'}>"

    @property
    def versions(self) -> dict[str, range]:
        """The versions of messages that it decodes, by name on the wire, former names included."""
        return self._upcasting.versions

    @property
    def former_names(self) -> frozenset[str]:
        """The names of messages that it decodes as messages of another name."""
        return frozenset(self._upcasting.versions.keys() - self._messages.keys())

    def encode(self, envelope: Envelope[Any]) -> bytes:
        """Return the envelope as bytes, from which `decode` makes an equal envelope.

        Raises `InvalidOption` for a message without its envelope and for a type that is not registered, and
        `Unencodable`, which names the field, for a value that would not come back.
        """
        if not isinstance(envelope, Envelope):
            raise InvalidOption("envelope", envelope, "the codec encodes envelopes; give it Envelope(message)")
        message, (identity, *stamps) = envelope.message, envelope.stamps
        data = self.encode_message(message)
        parts = EnvelopeData(
            self._encode_stamp(identity, message),
            msgspec.Raw(data),
            [self._encode_stamp(stamp, message) for stamp in stamps if not stamp.local],
        )
        return self._frame(parts)

    def decode(self, data: bytes) -> Envelope[Any]:
        """Return the envelope, ready to be dispatched, with a `Received` stamp.

        Raises `UnknownType` for a type that is not registered and a version that no upcaster takes, and `Undecodable`,
        without values of the data and without a cause, which may have them.
        """
        try:
            parts: EnvelopeData = self._read[EnvelopeData](data)
            message = self._decode_message(parts.message)
            stamps = [self._decode_stamp(each, message) for each in parts.stamps]
            envelope = Envelope.restore(message, parts.identity, stamps)
        except UnknownType:
            raise
        except Exception as error:  # a hook may raise anything when data does not fit
            reason = self._without_values(error, data)
        else:
            envelope.noted.append(Received())
            return envelope
        name, version = self._head_if_any(data)
        raise Undecodable(reason, self._messages, name, version)

    def encode_message(self, message: Message) -> bytes:
        """Return a message without an envelope as bytes, with its version, for a log of events.

        Raises as `encode` does.
        """
        kind = type(message)
        if kind not in self.types:
            raise InvalidOption("Codec", kind, "give it the types of all messages that it is to encode")
        data = self._round_trip.encode_checked(message, self._read[kind], kind)
        return data if kind.schema_version == 1 else self._with_version(kind, data)

    def decode_message(self, data: bytes) -> Message:
        """Return the message of `encode_message`; one of an older version is brought up by the upcasters.

        Raises as `decode` does.
        """
        try:
            return self._decode_message(data)
        except UnknownType:
            raise
        except Exception as error:  # a hook may raise anything when data does not fit
            reason = self._without_values(error, data)
        name, version = self._head_if_any(data, alone=True)
        raise Undecodable(reason, self._messages, name, version, "message")

    def decode_messages(self, bodies: Sequence[bytes]) -> list[Message]:
        """Return the messages of `encode_message`, in order: many at once take a third of the time.

        Raises as `decode` does, for the first one that cannot be decoded.
        """
        joined = b"".join(bodies)  # to search all of them once costs a fifth of searching each
        if self._first and not any(mark in joined for mark in VERSION_MARKS):
            try:
                return [*map(self._decode_first, bodies)]
            except Exception:  # one of them is none of these types, or damaged: look at each
                pass
        return [self.decode_message(body) for body in bodies]

    @cached_property
    def _decode_first(self) -> Callable[[bytes], Message]:
        """Decodes a message of any type that is at its first version, in one pass."""
        return self._read.make(Union[self._first])  # noqa: UP007  # how many there are is not known

    def head_of(self, data: bytes) -> tuple[str, int]:
        """Return the name of the message's type on the wire, and its version. Raises `Undecodable` for no envelope."""
        try:
            head = self._read_head(self._read[EnvelopeData](data).message)
        except Exception as error:
            reason = self._without_values(error, data)
        else:
            return head.name, head.version
        raise Undecodable(reason, self._messages)

    def _head_if_any(self, data: Any, *, alone: bool = False) -> tuple[str, int]:
        """Return the name and the version of a message in an envelope, or alone; "" and 0 if the data does not tell."""
        try:
            head = self._read_head(data if alone else self._read[EnvelopeData](data).message)
        except Exception:
            return "", 0
        return head.name, head.version

    def _without_values(self, error: Exception, data: bytes) -> Exception:
        """Return an error of a decoder with no values of the data in its text."""
        kind = type(error) if isinstance(error, (KeyError, msgspec.MsgspecError)) else ValueError
        where, text = misfit_of(error, "$")
        text = str(error.args[0]) if isinstance(error, KeyError) else text if where == "$" else f"{text} - at `{where}`"
        with suppress(Exception):  # these bytes are no data at all: the text is that of a decoder, and tells a position
            text = mask_values(text, [*values_in(self._read[Any](data))])
        return kind(text)

    def _encode_message(self, message: Message) -> bytes:
        """Return the data of a message of any type, with its version unless it is 1."""
        kind = type(message)
        data = self._round_trip.encode_checked(message, self._decoder_of(kind), kind)
        return data if kind.schema_version == 1 else self._with_version(kind, data)

    def _with_version(self, kind: type[Message], data: bytes) -> bytes:
        fields = {TYPE: wire_name(kind), VERSION: version_of(kind)} | self._read[dict](data)
        return self._round_trip.encode(fields)

    def _encode_stamp(self, stamp: Stamp, message: Message) -> Any:
        """Return the data of a stamp on the envelope of this message."""
        if is_certain(stamp):
            return stamp
        part: Any = stamp
        if isinstance(stamp, UnknownStamp):
            part = stamp.data
        elif isinstance(stamp, Redispatched):
            stamps = [self._encode_stamp(each, message) for each in stamp.stamps if not each.local]
            part = RedispatchedData(stamps, stamp.at)
        elif type(stamp) is Emitted:
            part = EmittedData(msgspec.Raw(self._encode_message(stamp.event)), stamp.at)
        elif type(stamp) is Handled:
            part = HandledData(self._encode_result(stamp.result, type(message)), stamp.handler, stamp.at)
        return msgspec.Raw(self._round_trip.encode_checked(part, self._decoder_of(type(part)), type(stamp)))

    def _encode_result(self, result: Any, kind: type[Message]) -> msgspec.Raw:
        """Return the data of a result, which is equal once decoded unless its type is ``Any``."""
        try:
            decode = self._results[kind]
        except Exception as error:  # msgspec does not support the result type
            raise Unencodable(kind, " (result)", str(error), self._round_trip.format) from None
        exact = result_type(kind) is not Any
        return msgspec.Raw(self._round_trip.encode_checked(result, decode, kind, " (result)", exact=exact))

    def _decoder_of(self, kind: Any) -> Callable[[bytes], Any]:
        """Return the decoder of a type. Raises `InvalidOption`, at its first use, for a type that cannot be decoded."""
        if kind not in self._read and issubclass(kind, (Message, Stamp)):
            check_decodable(kind, self._read)
        return self._read[kind]

    def _decode_message(self, data: EncodedMessage) -> Message:
        head = self._read_head(data)
        kind = self._current.get((head.name, head.version))
        message: Message = self._upcast(head, data) if kind is None else self._read[kind](data)
        return message

    def _read_head(self, data: EncodedMessage) -> Head:
        try:
            head: Head = self._read[Head](data)
            return head
        except msgspec.ValidationError as error:
            wanted = f"with the indices {TYPE}, a text, and {VERSION}, a whole number that may be left out"
            raise TypeError(f"a message is a mapping {wanted}") from error

    def _upcast(self, head: Head, data: EncodedMessage) -> Any:
        limit = self._upcasting.limit_of(head.name, head.version)
        if limit is not None:
            raise UnknownType(head.name, head.version, limit, self._messages)
        fields = self._read[dict](data)
        del fields[TYPE]
        fields.pop(VERSION, None)
        name, fields = self._upcasting.upcast(head.name, head.version, fields)
        return self._read[self._messages[name]](self._round_trip.encode(fields | {TYPE: name}))

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


def _allows_version(kind: type[Message]) -> bool:
    """Return True if data of the type may have a version beside its fields."""
    return not kind.__struct_config__.forbid_unknown_fields


def codec_of(buses: Sequence[Any]) -> Codec:
    """Return a codec of the types that these typed buses handle, and of the stamps that their middleware add.

    Types that cannot be decoded are left out, because they may be for dispatches in this process alone.

    Raises `DuplicateName` when two buses handle different types of one name.
    """
    types = [kind for bus in buses for kind in bus.types]
    middleware = [each for bus in buses for each in bus.middleware]
    stamps = [kind for each in middleware for kind in getattr(each, "stamps", ())]
    return Codec(decodable(dict.fromkeys((*types, *with_derived(types)))), stamps)
