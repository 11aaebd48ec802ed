"""Messages of older versions are read as those of today."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modd import Message
from modd.cqrs import Codec, Command, CommandBus, Emitted, Envelope, Event, Handled, Redispatched, UnknownStamp
from modd.cqrs.upcasting import Upcaster

pytestmark = pytest.mark.anyio

Format = Literal["json", "msgpack"]
FORMATS: list[Format] = ["json", "msgpack"]
EACH_FORMAT = pytest.mark.parametrize("format", FORMATS)


class Ordered1(Event, tag="Ordered"):
    sku: str


class Ordered(Event):
    schema_version: ClassVar[int] = 3

    item: str
    quantity: int
    currency: str


class OrderedAbroad1(Ordered1, tag="OrderedAbroad"):
    country: str = "fr"


class OrderedAbroad(Ordered):
    country: str


class Order1(Command[Any], tag="Order"):
    sku: str


class Order(Command[Any]):
    schema_version: ClassVar[int] = 2

    item: str


class Strict(Event, forbid_unknown_fields=True):
    schema_version: ClassVar[int] = 2

    item: str


UPCASTERS: dict[Any, dict[int, Upcaster]] = {
    Ordered: {
        1: lambda old: {"item": old.pop("sku"), "quantity": 1, **old},
        2: lambda old: old | {"currency": "EUR"},
    },
    Order: {1: lambda old: {"item": old["sku"]}},
}


def before(format: Format = "json") -> Codec:
    """A codec from the time when all was of version 1."""
    return Codec([Order1, Ordered1, OrderedAbroad1], format=format)


def now(format: Format = "json") -> Codec:
    return Codec([Order, Ordered, OrderedAbroad], format=format, upcasters=UPCASTERS)


def told(codec: Codec, message: Message) -> Any:
    """What the bytes of a message say."""
    return msgspec.json.decode(codec.encode(Envelope(message)))["message"]


def test_a_version_is_told_beside_the_type_unless_it_is_1() -> None:
    # MI-11, ST-30
    assert told(before(), Ordered1("yoyo")) == {"$type": "Ordered", "sku": "yoyo"}
    assert [*told(now(), Order("yoyo")).items()] == [("$type", "Order"), ("$version", 2), ("item", "yoyo")]
    assert told(now(), OrderedAbroad("yoyo", 1, "EUR", "fr"))["$version"] == 3


@EACH_FORMAT
@pytest.mark.parametrize("message", [Order("yoyo"), Ordered("yoyo", 2, "USD"), OrderedAbroad("yoyo", 2, "USD", "fr")])
def test_what_is_of_todays_version_comes_back_as_it_was(format: Format, message: Message) -> None:
    # MI-11
    codec = now(format)
    assert codec.decode(codec.encode(Envelope(message))).message == message


@EACH_FORMAT
def test_what_is_of_an_older_version_goes_through_its_upcasters(format: Format) -> None:
    # MI-11
    decoded = now(format).decode(before(format).encode(Envelope(Ordered1("yoyo"), id="1")))
    assert (decoded.message, decoded.id) == (Ordered("yoyo", 1, "EUR"), "1")


@EACH_FORMAT
def test_a_derived_type_has_the_upcasters_of_its_base_unless_it_has_its_own(format: Format) -> None:
    # MI-11
    old = before(format).encode(Envelope(OrderedAbroad1("yoyo", "de")))
    assert now(format).decode(old).message == OrderedAbroad("yoyo", 1, "EUR", "de")
    own = {"item": "own", "quantity": 0, "currency": "", "country": ""}
    steps: dict[int, Upcaster] = {1: lambda old: old, 2: lambda old: own}
    upcasters = {Ordered: UPCASTERS[Ordered], OrderedAbroad: steps}
    codec = Codec([Ordered, OrderedAbroad], format=format, upcasters=upcasters)
    assert codec.decode(old).message == OrderedAbroad("own", 0, "", "")


@EACH_FORMAT
def test_events_that_were_emitted_and_what_is_kept_of_a_dispatch_before_are_brought_up_to_date(format: Format) -> None:
    # MI-11
    once = Envelope(Order1("yoyo"), Emitted(Ordered1("yoyo")), Handled(7))
    kept = Redispatched((Emitted(Ordered1("yoyo")), Handled(8)))
    decoded = now(format).decode(before(format).encode(Envelope(once.message, *once.stamps, kept)))
    again = now(format).decode(now(format).encode(decoded))
    for envelope in (decoded, again):
        stamps = envelope.last(Redispatched)
        assert stamps is not None and envelope.message == Order("yoyo")
        for emitted in (envelope.last(Emitted), stamps.stamps[0]):
            assert isinstance(emitted, Emitted) and emitted.event == Ordered("yoyo", 1, "EUR")


def test_an_event_of_a_type_that_the_codec_does_not_have_keeps_its_version() -> None:
    # MI-11
    envelope = Envelope(Order("yoyo"), Emitted(Strict("yoyo")))
    poor = Codec([Order], upcasters={Order: {}})
    unknown = poor.decode(poor.encode(envelope)).first(UnknownStamp)
    assert unknown is not None and unknown.data["event"] == {"$type": "Strict", "$version": 2, "item": "yoyo"}
    full = Codec([Order, Strict], upcasters={Order: {}, Strict: {}})
    assert full.decode(poor.encode(envelope)).last(Emitted) == envelope.last(Emitted)


@EACH_FORMAT
def test_a_type_that_forbids_unknown_fields_may_have_versions(format: Format) -> None:
    # MI-11
    codec = Codec([Strict], format=format, upcasters={Strict: {1: lambda old: {"item": old["sku"]}}})
    assert codec.decode(codec.encode(Envelope(Strict("yoyo")))).message == Strict("yoyo")


class Box(Event):
    inner: Order


def test_a_message_in_a_field_has_no_version_of_its_own() -> None:
    # MI-11
    codec = Codec([Box])
    assert "$version" not in told(codec, Box(Order("yoyo")))["inner"]
    assert codec.decode(codec.encode(Envelope(Box(Order("yoyo"))))).message == Box(Order("yoyo"))


async def test_what_was_queued_before_a_deployment_is_handled_after_it() -> None:
    # MI-11, ST-32
    seen: list[Order] = []
    bus = CommandBus({Order: seen.append})
    await bus.dispatch(now().decode(before().encode(Envelope(Order1("yoyo")))))
    assert seen == [Order("yoyo")]


@pytest.mark.costly
@given(st.integers(1, 12), st.data())
def test_each_upcaster_runs_once_and_in_order_from_the_version_of_the_data(version: int, data: st.DataObject) -> None:
    # MI-11, ST-30
    class Grown(Event):
        schema_version: ClassVar[int] = version

        way: list[int]

    start = data.draw(st.integers(1, version))
    steps = {n: lambda old, n=n: {"way": [*old["way"], n]} for n in range(1, version)}
    envelope = msgspec.json.decode(Codec([Grown], upcasters={Grown: {}}).encode(Envelope(Grown([]))))
    envelope["message"]["$version"] = start
    decoded = Codec([Grown], upcasters={Grown: steps}).decode(msgspec.json.encode(envelope))
    assert decoded.message == Grown([*range(start, version)])
