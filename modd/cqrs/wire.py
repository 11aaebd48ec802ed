"""The parts of an encoded envelope, and the decoders for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time
from types import ModuleType
from typing import Any, TypeAlias

import msgspec

from modd.cqrs.stamps import Identity

TYPE, VERSION, STAMP = "$type", "$version", "$stamp"
"""The keys of a message's name, of its version, and of a stamp's name; they are beside the fields."""


VERSION_MARKS = (VERSION.encode(), b"\\")
"""Bytes of which each encoded message with a version has one: its key, or an escape in it."""


BUS_HEADER = "modd-bus"
"""The header of a queued message that names its bus, for a worker that serves several."""


EVENT_HEADER = "modd-event"
"""The header of a queued event: the name of its type on the wire, for workers that cannot decode it."""


FORMATS: dict[str, ModuleType] = {"json": msgspec.json, "msgpack": msgspec.msgpack}
"""The modules that encode and decode, by the name of the format."""


_TIMESTAMPS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
"""The first bytes of an instant in msgpack, which has no offset."""


def encoder(format: str, enc_hook: Any) -> Callable[[Any], bytes]:
    """Return a function that encodes values, with instants as text if they would lose their offset otherwise.

    format: a name in `FORMATS`. enc_hook: as msgspec defines it.
    """
    encode: Callable[[Any], bytes] = FORMATS[format].Encoder(enc_hook=enc_hook).encode
    if format == "json":
        return encode

    def encode_with_offsets(value: Any) -> bytes:
        data = encode(value)
        if not any(start in data for start in _TIMESTAMPS):
            return data
        return encode(msgspec.to_builtins(value, builtin_types=(bytes, bytearray, memoryview), enc_hook=unpack))

    def unpack(part: Any) -> Any:
        """Return a part that is encoded already as the values in it; anything else as the hook does."""
        return msgspec.msgpack.decode(part) if isinstance(part, msgspec.Raw) else enc_hook(part)

    return encode_with_offsets


class Decoders(dict[Any, Callable[[Any], Any]]):
    """Functions that decode data, by type; each is made at its first use.

    format: a name in `FORMATS`. dec_hook: as msgspec defines it. type_for: returns the type to decode for a key.
    """

    def __init__(self, format: str, dec_hook: Any, type_for: Callable[[Any], Any] = lambda kind: kind) -> None:
        super().__init__()
        self._format, self._dec_hook, self._type_for = FORMATS[format], dec_hook, type_for

    @property
    def has_hook(self) -> bool:
        """True if there is a hook for types that msgspec does not know."""
        return self._dec_hook is not None

    def make(self, hint: Any) -> Callable[[Any], Any]:
        """Return a function that decodes data of a type. Raises errors of msgspec, and ``NameError``."""
        decode: Callable[[Any], Any] = self._format.Decoder(hint, dec_hook=self._dec_hook).decode
        return decode

    def __missing__(self, kind: Any) -> Callable[[Any], Any]:
        return self.setdefault(kind, self.make(self._type_for(kind)))


EncodedMessage: TypeAlias = msgspec.Raw | bytes
"""The data of a message: in an envelope, or alone."""


class EnvelopeData(msgspec.Struct):
    """An envelope whose message and stamps are still encoded, until their types are known."""

    identity: Identity
    message: msgspec.Raw
    stamps: list[msgspec.Raw]


class Head(msgspec.Struct):
    """The name and the version of an encoded message."""

    name: str = msgspec.field(name=TYPE)
    version: int = msgspec.field(name=VERSION, default=1)


class NameOfMessage(msgspec.Struct):
    """The name of an encoded message."""

    name: str = msgspec.field(name=TYPE)


def name_in(data: bytes) -> str:
    """Return the name of an encoded message of either format; an empty text if the data does not tell."""
    try:
        return _name_decoders[data[:1] == b"{"](data).name
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


_name_decoders = (msgspec.msgpack.Decoder(NameOfMessage).decode, msgspec.json.Decoder(NameOfMessage).decode)
"""Decoders of the two formats: the first byte of JSON is a brace."""


class StampHead(msgspec.Struct):
    """The name of an encoded stamp."""

    name: str = msgspec.field(name=STAMP)


class EmittedData(msgspec.Struct, tag="Emitted", tag_field=STAMP):
    """An `Emitted` stamp whose event is still encoded."""

    event: msgspec.Raw
    at: float


class RedispatchedData(msgspec.Struct, tag="Redispatched", tag_field=STAMP):
    """A `Redispatched` stamp whose stamps are still encoded."""

    stamps: list[msgspec.Raw]
    at: float


class HandledData(msgspec.Struct, tag="Handled", tag_field=STAMP):
    """A `Handled` stamp whose result is still encoded."""

    result: msgspec.Raw
    handler: str = ""
    at: float = msgspec.field(default_factory=time)


SCALARS = frozenset({str, int, float, bool, type(None)})
"""The types of decoded values without parts."""


def values_in(data: Any) -> Iterator[Any]:
    """Yield the values in decoded data, to any depth, without the names of fields, the names of types and versions."""
    if isinstance(data, dict):
        for name, item in data.items():
            if name not in (TYPE, VERSION, STAMP):
                yield from values_in(item)
    elif isinstance(data, list):
        if SCALARS.issuperset(map(type, data)):  # a quick way for thousands of values
            yield from data
            return
        for item in data:
            yield from values_in(item)
    else:
        yield data
