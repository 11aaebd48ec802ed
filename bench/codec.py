"""Cases of the codec: an envelope as bytes and back, compared with msgspec alone."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bench.cases import Case, expect, times_as_fast
from modd.cqrs import Codec, Command, Envelope, Queued


class Add(Command[None]):
    """A command."""

    producer: int
    sku: str = "KAY-123-YOLO"
    price: float = 10.99
    quantity: int = 2


class Plain(msgspec.Struct, frozen=True, tag="Add", tag_field="$type"):
    """The command of the floor."""

    producer: int
    sku: str = "KAY-123-YOLO"
    price: float = 10.99
    quantity: int = 2


class PlainEnvelope(msgspec.Struct):
    """The envelope of the floor, with as much data; msgspec knows all of its types."""

    identity: dict[str, Any]
    message: Plain
    stamps: list[dict[str, Any]]


def codec_cases() -> list[Case]:
    """Return a case for each format."""
    return [_case("json", must=0.2, aim=0.3), _case("msgpack", must=0.2, aim=0.3)]


def _case(format: Literal["json", "msgpack"], *, must: float, aim: float) -> Case:
    codec = Codec([Add], format=format)
    encode, decode = getattr(msgspec, format).encode, getattr(msgspec, format).Decoder(PlainEnvelope).decode
    envelope = Envelope(Add(0), Queued())
    parts = getattr(msgspec, format).decode(codec.encode(envelope))

    async def run(times: int) -> None:
        count = 0
        for number in range(times):
            envelope.message = Add(number)
            count += codec.decode(codec.encode(envelope)).message.quantity
        expect(count, 2 * times)

    async def base(times: int) -> None:
        count = 0
        for number in range(times):
            plain = PlainEnvelope(parts["identity"], Plain(number), parts["stamps"])
            count += decode(encode(plain)).message.quantity
        expect(count, 2 * times)

    return Case(f"codec, {format}", run, base, times_as_fast, must, aim)
