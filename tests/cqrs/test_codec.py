"""Envelopes as bytes and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from modd import DuplicateName, InvalidOption, Message
from modd.cqrs import (
    Actor,
    Codec,
    Command,
    CommandBus,
    Emit,
    Envelope,
    Event,
    Handled,
    Received,
    Redispatched,
    Retried,
    Stamp,
    Tenant,
    Undecodable,
    UnknownStamp,
)

pytestmark = pytest.mark.anyio


class Money(msgspec.Struct, frozen=True):
    amount: Decimal


class Price(Command[Money]):
    sku: str


class Priced(Event):
    sku: str


class Priority(Stamp):
    level: int


class Seen(Stamp):
    local = True


def price(price: Price, emit: Emit) -> Money:
    emit(Priced(price.sku))
    return Money(Decimal("9.99"))


# MI-11
async def test_an_envelope_that_went_through_json_is_dispatched_anew_under_its_id() -> None:
    codec, bus = Codec([Price, Priced], [Priority, Seen]), CommandBus([price])
    sent = (await bus.dispatch(Price("yoyo"), Priority(3), Seen(), Actor("ada", claims={"a": 1}))).envelope
    back = codec.decode(codec.encode(sent))
    assert (back.message, back.id, back.correlation_id, back.causation_id) == (sent.message, sent.id, sent.id, None)
    assert [stamp for stamp in sent.stamps if not stamp.local] == [
        s for s in back.stamps if not isinstance(s, Received)
    ]
    again = await bus.dispatch(back)
    assert (again.result, again.envelope.id) == (Money(Decimal("9.99")), sent.id)
    assert again.events == (Priced("yoyo"),)
    kept = again.envelope.first(Redispatched)
    assert kept is not None and Priority(3).level in [s.level for s in kept.stamps if isinstance(s, Priority)]
    assert codec.decode(codec.encode(again.envelope)).all(Redispatched) == (
        Redispatched(tuple(s for s in kept.stamps if not s.local), at=kept.at),
    )


# MI-11
async def test_what_was_caused_keeps_its_ids_and_its_time() -> None:
    seen: list[Envelope[Price]] = []
    inner = CommandBus({Price: lambda price: seen.append(price)}, name="inner")

    async def outer(price: Priced2) -> None:
        await inner.dispatch(Price("yoyo"))

    dispatched = await CommandBus([outer]).dispatch(Priced2())
    codec = Codec([Price])
    bare = Envelope(Price("yoyo"))
    bare.set_cause(dispatched.envelope)
    back = codec.decode(codec.encode(bare))
    assert (back.causation_id, back.correlation_id) == (dispatched.envelope.id, dispatched.envelope.id)
    assert back.stamps[0] == bare.stamps[0]


class Priced2(Command[None]):
    pass


# MI-11
def test_stamps_and_events_of_unknown_types_are_kept_as_they_came() -> None:
    full, poor = Codec([Price, Priced], [Priority]), Codec([Price])
    envelope = Envelope(Price("yoyo"), Priority(3), Tenant("t"), Retried(1, "no"))
    envelope.emit(Priced("yoyo"))
    passed = poor.decode(full.encode(envelope))
    assert [s.data["$stamp"] for s in passed.all(UnknownStamp)] == ["Priority", "Emitted"]
    assert full.decode(poor.encode(passed)).stamps[:-1] == envelope.stamps


# MI-4, MI-11
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "invalid"),
        (b"[]", "Expected `object`"),
        (b'{"identity":{},"message":{},"stamps":[]}', "missing required field `id`"),
        (
            b'{"identity":{"id":"1","correlation_id":"1"},"message":{"$type":"os.system"},"stamps":[]}',
            "no type 'os.sys",
        ),
        (b'{"identity":{"id":"1","correlation_id":"1"},"message":[],"stamps":[]}', "indices"),
        (
            b'{"identity":{"id":"1","correlation_id":"1"},"message":{"$type":"Price","sku":1},"stamps":[]}',
            "Expected `str`",
        ),
        (
            b'{"identity":{"id":"1","correlation_id":"1"},"message":{"$type":"Price","sku":"1"},'
            b'"stamps":[{"$stamp":"Actor","id":1}]}',
            "Expected `str`",
        ),
    ],
)
def test_what_is_no_envelope_of_the_registered_types_is_an_error_that_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason) as caught:
        Codec([Price]).decode(data)
    assert "the codec knows: Price" in str(caught.value)


def test_the_head_of_a_message_is_read_without_its_fields() -> None:
    # DR-34
    codec = Codec([Price])
    envelope = (
        b'{"identity":{"id":"1","correlation_id":"1"},"message":{"$type":"Later","$version":7,"a":1},"stamps":[]}'
    )
    assert codec.head_of(envelope) == ("Later", 7)
    with pytest.raises(Undecodable, match="the codec knows: Price"):
        codec.head_of(b"[]")


# MI-11
def test_a_codec_is_made_of_types_with_one_name_each() -> None:
    class Other(Message, tag="Price"):
        pass

    with pytest.raises(DuplicateName, match="the codec was given two message types named 'Price'"):
        Codec([Price, Other])
    with pytest.raises(InvalidOption, match="derived from Stamp"):
        Codec([Price], [Price])  # type: ignore[list-item]
    with pytest.raises(InvalidOption, match="all messages"):
        Codec([]).encode(Envelope(Price("yoyo")))


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


class Go(Command[Point]):
    to: Any


# MI-11
def test_hooks_encode_and_decode_what_msgspec_does_not_know() -> None:
    def decoded(kind: type, data: Any) -> Any:
        return kind(data)

    codec = Codec([Go], enc_hook=lambda point: point.x, dec_hook=decoded)
    back = codec.decode(codec.encode(Envelope(Go(1), Handled(Point(3), "go"))))
    assert back.last(Handled).result.x == 3  # type: ignore[union-attr]
