"""A codec writes and reads one format, JSON or msgpack."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modd import InvalidOption, Message
from modd.cqrs import (
    Actor,
    Codec,
    Command,
    CommandBus,
    Emit,
    Emitted,
    Envelope,
    Event,
    Received,
    Redispatched,
    Stamp,
    Tenant,
    Undecodable,
    UnknownStamp,
)
from modd.cqrs.decodable import check_decodable
from modd.cqrs.stamps import BUILT_IN
from modd.cqrs.wire import Decoders

pytestmark = pytest.mark.anyio

Format = Literal["json", "msgpack"]
EACH_FORMAT = pytest.mark.parametrize("format", ["json", "msgpack"])


class Upload(Command[Any]):
    content: bytes
    at: datetime
    price: Decimal = Decimal("9.99")
    by_number: dict[int, str] = msgspec.field(default_factory=dict)
    id: UUID | None = None


class Uploaded(Event):
    size: int


class Priority(Stamp):
    level: int


class Hint(Stamp):
    local = True


UPLOAD = Upload(b"\x00\xff", datetime(2024, 2, 29, 12, tzinfo=UTC), by_number={1: "one"}, id=UUID(int=7))


def codec(format: Format) -> Codec:
    return Codec([Upload, Uploaded], [Priority, Hint], format=format)


@EACH_FORMAT
async def test_an_envelope_comes_back_in_either_format_and_is_dispatched_anew(format: Format) -> None:
    # MI-11, ST-33
    def handle(upload: Upload, emit: Emit) -> bytes:
        emit(Uploaded(len(upload.content)))
        return upload.content

    bus = CommandBus([handle])
    sent = await bus.dispatch(UPLOAD, Actor("ada", claims={"a": 1}), Priority(3), Hint())
    again = await bus.dispatch(codec(format).decode(codec(format).encode(sent.envelope)))
    back = codec(format).decode(codec(format).encode(again.envelope))
    assert (back.message, back.id) == (UPLOAD, sent.envelope.id)
    assert again.events == (Uploaded(2),) and back.last(Actor) == sent.envelope.last(Actor)
    kept = back.first(Redispatched)
    assert kept is not None and Emitted in map(type, kept.stamps) and Hint not in map(type, kept.stamps)


def test_msgpack_keeps_bytes_as_they_are_and_is_smaller() -> None:
    # MI-11
    json, msgpack = (codec(format).encode(Envelope(UPLOAD)) for format in ("json", "msgpack"))
    whole = msgspec.msgpack.decode(msgpack)
    assert (whole["message"]["content"], msgspec.json.decode(json)["message"]["content"]) == (b"\x00\xff", "AP8=")
    assert len(msgpack) < len(json)


def test_what_is_in_the_other_format_is_undecodable() -> None:
    # MI-11
    json, msgpack = codec("json"), codec("msgpack")
    for writing, reading in ((json, msgpack), (msgpack, json)):
        with pytest.raises(Undecodable):
            reading.decode(writing.encode(Envelope(UPLOAD)))


@pytest.mark.parametrize("format", ["yaml", "JSON", "", None, 3, ["json"]])
def test_another_format_is_an_error_when_the_codec_is_made(format: Any) -> None:
    # MI-11
    with pytest.raises(InvalidOption, match=r"format=.*give one of: json, msgpack"):
        Codec([Upload], format=format)


@EACH_FORMAT
def test_an_unknown_stamp_passes_through_either_format(format: Format) -> None:
    # MI-11
    poor = Codec([Upload], format=format)
    envelope = Envelope(UPLOAD, Priority(3), Emitted(Uploaded(2)), Tenant("t"))
    passed = poor.decode(codec(format).encode(envelope))
    assert len(passed.all(UnknownStamp)) == 2
    assert codec(format).decode(poor.encode(passed)).stamps[:-1] == envelope.stamps


class IntTag(Event, tag=3):
    pass


class OtherField(Event, tag_field="kind"):
    pass


class Array(Event, array_like=True):
    pass


class ArrayStamp(Stamp, array_like=True):
    pass


@pytest.mark.parametrize("kind", [IntTag, OtherField, Array])
def test_types_whose_data_would_not_say_what_it_is_are_refused(kind: type[Message]) -> None:
    # MI-11
    with pytest.raises(InvalidOption, match="give types with a text as their tag"):
        Codec([kind])
    for stamp in (ArrayStamp, UnknownStamp):
        with pytest.raises(InvalidOption, match="give types with a text as their tag"):
            Codec([Upload], [stamp])


@EACH_FORMAT
def test_every_stamp_that_is_built_in_can_be_decoded(format: Format) -> None:
    # MI-11
    for stamp in BUILT_IN:
        check_decodable(stamp, Decoders(format, None))


@pytest.mark.parametrize("option", ["enc_hook", "dec_hook"])
def test_a_hook_is_a_function(option: str) -> None:
    # MI-11
    with pytest.raises(InvalidOption, match=f"{option}='str': give a function"):
        Codec([Upload], **{option: "str"})  # type: ignore[arg-type]


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


class Go(Command[Any]):
    to: Point


@EACH_FORMAT
@pytest.mark.parametrize("error", [KeyError, AttributeError, NotImplementedError])
def test_data_that_a_hook_does_not_take_is_undecodable(format: Format, error: type[Exception]) -> None:
    # MI-11
    def refuse(kind: type, data: Any) -> Any:
        raise error("no point")

    def make(kind: type, data: Any) -> Any:
        return kind(data)

    sender, receiver = (
        Codec([Go], format=format, enc_hook=lambda point: point.x, dec_hook=hook) for hook in (make, refuse)
    )
    with pytest.raises(Undecodable, match="no point"):
        receiver.decode(sender.encode(Envelope(Go(Point(3)))))


@pytest.mark.costly
@EACH_FORMAT
@given(cut=st.integers(0, 400), put=st.binary(max_size=4), width=st.integers(0, 4))
def test_damaged_bytes_are_an_envelope_or_undecodable(format: Format, cut: int, put: bytes, width: int) -> None:
    # MI-11, ST-33
    data = codec(format).encode(
        Envelope(UPLOAD, Priority(3), Emitted(Uploaded(2)), Redispatched((Tenant("t"),)), id="1")
    )
    try:
        envelope = codec(format).decode(data[:cut] + put + data[cut + width :])
    except Undecodable:
        return
    assert isinstance(envelope.message, (Upload, Uploaded)) and envelope.has(Received)


def test_a_stamp_of_stamps_is_encoded_whatever_the_bytes_of_its_time() -> None:
    """These bytes look as if an instant begins there."""
    at = struct.unpack(">d", b"\x41\xda\xd6\xff\x00\x00\x00\x00")[0]
    sent = Envelope(UPLOAD, Redispatched((Tenant("t"),), at=at))
    received = codec("msgpack").decode(codec("msgpack").encode(sent)).last(Redispatched)
    assert received == sent.last(Redispatched)
