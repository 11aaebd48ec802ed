"""Messages without an envelope, as bytes and back: what a log of events has."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

import msgspec
import pytest

from modd.cqrs import Codec, Event, Undecodable, Unencodable, UnknownType
from modd.errors import InvalidOption

Format = Literal["json", "msgpack"]
EACH_FORMAT = pytest.mark.parametrize("format", ["json", "msgpack"])


class Issued(Event):
    number: str
    amount: int = 0


class Paid1(Event, tag="Paid"):
    sum: int


class Paid(Event):
    schema_version: ClassVar[int] = 2

    amount: int


class Paid3(Event, tag="Paid"):
    schema_version: ClassVar[int] = 3

    amount: int


class Strict(Event, forbid_unknown_fields=True):
    number: str


class Measured(Event):
    mean: float


class Lost(Event):
    number: str


def codec_of(format: Format = "json") -> Codec:
    return Codec(
        [Issued, Paid, Strict, Measured],
        format=format,
        upcasters={Paid: {1: lambda old: {"amount": old["sum"]}}, "Billed": {1: lambda old: old | {"$type": "Issued"}}},
    )


@EACH_FORMAT
@pytest.mark.parametrize(
    "message", [Issued("7", 10), Issued('"$version"', 1), Issued("\\u0024", 1), Paid(10), Strict("7"), Measured(0.5)]
)
def test_a_message_comes_back_as_it_was(format: Format, message: Event) -> None:
    # WM-9
    codec = codec_of(format)
    assert codec.decode_message(codec.encode_message(message)) == message


def test_its_bytes_are_the_fields_with_name_and_version() -> None:
    # WM-9
    codec = codec_of()
    assert json.loads(codec.encode_message(Issued("7", 10))) == {"$type": "Issued", "number": "7", "amount": 10}
    assert json.loads(codec.encode_message(Paid(10))) == {"$type": "Paid", "$version": 2, "amount": 10}


@EACH_FORMAT
def test_a_message_of_an_older_version_or_name_is_brought_up(format: Format) -> None:
    # WM-9
    codec = codec_of(format)
    assert codec.decode_message(Codec([Paid1], format=format).encode_message(Paid1(10))) == Paid(10)
    frame: Any = {"json": msgspec.json, "msgpack": msgspec.msgpack}[format]
    assert codec.decode_message(frame.encode({"$type": "Billed", "number": "7"})) == Issued("7")


@EACH_FORMAT
def test_a_message_of_a_newer_version_is_refused(format: Format) -> None:
    # WM-9
    data = Codec([Paid3], format=format, upcasters={Paid3: {}}).encode_message(Paid3(10))
    with pytest.raises(UnknownType, match="Paid of version 3 is newer than 2"):
        codec_of(format).decode_message(data)


@pytest.mark.parametrize("key", ['"$version"', '"\\u0024version"', '"$\\u0076ersion"'])
def test_a_version_is_seen_however_its_key_is_written(key: str) -> None:
    with pytest.raises(UnknownType, match="Issued of version 2 is newer than 1"):
        codec_of().decode_message(b'{"$type": "Issued", %s: 2, "number": "7"}' % key.encode())


def test_a_message_of_an_unknown_type_is_refused() -> None:
    codec = codec_of()
    with pytest.raises(UnknownType, match="no type 'Lost'") as unknown:
        codec.decode_message(Codec([Lost]).encode_message(Lost("7")))
    assert (unknown.value.name, unknown.value.version) == ("Lost", 1)
    with pytest.raises(InvalidOption, match="give it the types of all messages"):
        codec.encode_message(Lost("7"))
    nothing: Any = "7"
    with pytest.raises(InvalidOption, match="give it the types of all messages"):
        codec.encode_message(nothing)


@pytest.mark.parametrize(
    "data", [b"", b"secret", b"[]", b"{}", b'{"number": "secret"}', b'{"$type": "Issued", "number": 7}']
)
def test_bytes_that_are_no_message_say_so_without_their_content(data: bytes) -> None:
    for codec in (codec_of(), Codec([Issued])):
        with pytest.raises(Undecodable, match=r"^these bytes are no message\b") as undecodable:
            codec.decode_message(data)
        assert "secret" not in str(undecodable.value)
        assert undecodable.value.__cause__ is None


def test_a_value_that_would_not_come_back_is_refused() -> None:
    with pytest.raises(Unencodable, match=r"\.mean"):
        codec_of().encode_message(Measured(float("nan")))


def test_a_codec_of_no_types_of_the_first_version_reads_heads() -> None:
    codec = Codec([Paid3], upcasters={Paid3: {}})
    assert codec.decode_message(codec.encode_message(Paid3(1))) == Paid3(1)


@EACH_FORMAT
def test_many_messages_are_decoded_at_once_as_each_alone(format: Format) -> None:
    # WM-9
    codec = codec_of(format)
    first = [codec.encode_message(Issued(number)) for number in ("7", "\\ 8", "$version")]
    older = [Codec([Paid1], format=format).encode_message(Paid1(10))]
    for bodies in ([], first[:1], first, [*first[:1], *older]):
        assert codec.decode_messages(bodies) == [codec.decode_message(body) for body in bodies]
    with pytest.raises(Undecodable):
        codec.decode_messages([first[0], b"secret"])
