"""Upcasters: what they get and may give, old names, and what is out of their reach."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from modd.cqrs import Codec, Emitted, Event, Undecodable


class Paid(Event):
    schema_version: ClassVar[int] = 3

    amount: Decimal


class Refunded(Paid):
    schema_version: ClassVar[int] = 1


def data(name: str, version: Any = None, **fields: Any) -> dict[str, Any]:
    return {"$type": name, **({} if version is None else {"$version": version}), **fields}


def encoded(message: Any, *stamps: Any) -> bytes:
    identity = {"$stamp": "Identity", "id": "1", "correlation_id": "1", "at": 1.0}
    return msgspec.json.encode({"identity": identity, "message": message, "stamps": stamps})


def to_decimal(old: dict[str, Any]) -> dict[str, Any]:
    return {"amount": Decimal(old["cents"]) / 100}


def codec(**old_names: Any) -> Codec:
    return Codec([Paid], upcasters={Paid: {2: to_decimal}} | old_names)


def test_an_upcaster_gets_the_fields_alone_and_may_change_them() -> None:
    # MI-11
    seen: list[dict[str, Any]] = []

    def noting(old: dict[str, Any]) -> dict[str, Any]:
        seen.append(old.copy())
        old["amount"] = str(old.pop("cents"))
        return old

    upcasting = Codec([Paid], upcasters={Paid: {2: noting}})
    for _ in range(2):
        assert upcasting.decode(encoded(data("Paid", 2, cents=5))).message == Paid(Decimal(5))
    assert seen == [{"cents": 5}] * 2


def test_an_upcaster_may_give_whatever_can_be_encoded() -> None:
    # MI-11
    assert codec().decode(encoded(data("Paid", 2, cents=950))).message == Paid(Decimal("9.5"))
    hooked = Codec([Paid], upcasters={Paid: {2: lambda old: {"amount": 1j}}}, enc_hook=lambda value: "7")
    assert hooked.decode(encoded(data("Paid", 2))).message == Paid(Decimal(7))


def test_changing_the_mapping_afterwards_changes_no_codec() -> None:
    # MI-11
    steps: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {2: to_decimal}
    made = Codec([Paid], upcasters={Paid: steps})
    steps.clear()
    assert made.decode(encoded(data("Paid", 2, cents=100))).message == Paid(Decimal(1))


@pytest.mark.parametrize(
    ("last", "amount"),
    [
        (lambda old: {"$type": "Paid", "$version": 3, "amount": "5"}, "5"),
        (lambda old: {"$type": "Paid", "$version": 2, "cents": 300}, "3"),
    ],
)
def test_an_old_name_leads_to_a_type_of_today_and_through_its_upcasters(last: Any, amount: str) -> None:
    # MI-11
    renaming = codec(**{"payment-made": {1: lambda old: old | {"way": 1}, 2: last}})
    old = data("payment-made")
    assert renaming.decode(encoded(old)).message == Paid(Decimal(amount))
    emitted = renaming.decode(encoded(old, {"$stamp": "Emitted", "event": old, "at": 1.0})).last(Emitted)
    assert emitted is not None and emitted.event == Paid(Decimal(amount))


def test_without_a_version_an_old_name_leads_to_the_first() -> None:
    # MI-11
    plain = Codec([Refunded], upcasters={"refund": {1: lambda old: {"$type": "Refunded", **old}}, Refunded: {}})
    assert plain.decode(encoded(data("refund", amount="5"))).message == Refunded(Decimal(5))


OUT_OF_REACH: list[tuple[Any, str]] = [
    (data("Paid", 4), "Paid of version 4 is newer than 3"),
    (data("Paid", 1), "Paid of version 1 is older than 2"),
    (data("Paid"), "Paid of version 1 is older than 2"),
    (data("Paid", 0), "Paid of version 0 is older than 2"),
    (data("Paid", 10**30), "is newer than 3|a whole number"),
    (data("Paid", "3"), "a whole number"),
    (data("Paid", 2.5), "a whole number"),
    (data("Paid", True), "a whole number"),
    (data("Paid", 2), "the upcaster of Paid from version 2 raised KeyError: 'cents'"),
    (data("old", 3), "old of version 3 is newer than 2"),
    (data("old", 1), "old of version 1 is older than 2"),
    (data("os.system"), "no type 'os.system'"),
]


@pytest.mark.parametrize(("message", "reason"), OUT_OF_REACH)
def test_what_no_upcaster_can_bring_up_to_date_is_undecodable(message: Any, reason: str) -> None:
    # MI-11
    reading = codec(old={2: lambda old: data("Paid", 3, amount="1")})
    with pytest.raises(Undecodable, match=reason):
        reading.decode(encoded(message))
    if message["$type"] != "os.system":
        with pytest.raises(Undecodable, match=reason):
            reading.decode(encoded(data("Paid", 3, amount="1"), {"$stamp": "Emitted", "event": message, "at": 1.0}))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda old: None, "returned a value of type NoneType, which is no mapping"),
        (lambda old: [("amount", 1)], "returned a value of type list"),
        (lambda old: {"amount": "much"}, "Invalid decimal string|Expected"),
        (lambda old: {"amount": 1j}, "complex"),
        (lambda old: data("Paid", amount="1"), r"returned \$type or \$version"),
        (lambda old: {"$version": 3, "amount": "1"}, r"returned \$type or \$version"),
    ],
)
def test_what_an_upcaster_must_not_give_makes_data_undecodable(given: Any, reason: str) -> None:
    # MI-11
    with pytest.raises(Undecodable, match=reason):
        Codec([Paid], upcasters={Paid: {2: given}}).decode(encoded(data("Paid", 2)))


@pytest.mark.parametrize("given", [{}, data("gone"), data("old", 2), {"$type": ["Paid"]}, data("Paid", "3")])
def test_an_old_name_that_leads_nowhere_makes_data_undecodable(given: Any) -> None:
    # MI-11
    with pytest.raises(Undecodable, match=r"the last upcaster of old has to return the name of a known type as \$type"):
        codec(old={1: lambda old: given}).decode(encoded(data("old")))


def test_an_old_name_that_leads_to_a_version_that_cannot_be_read_makes_data_undecodable() -> None:
    # MI-11
    with pytest.raises(Undecodable, match="Paid of version 99 is newer than 3, the newest known here"):
        codec(old={1: lambda old: data("Paid", 99, amount="1")}).decode(encoded(data("old")))
