"""Intents from raw data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from modd import Sensitive
from modd.cqrs import Command, CommandBus, InvalidIntent, QueryBus
from tests.cqrs.shop import Create, Get


class Size(msgspec.Struct):
    width: int
    height: int = 1


@dataclass
class Mark:
    text: str


class Order(Command[None], tag="order-it"):
    sku: str
    price: Decimal
    at: datetime | None = None
    number: UUID | None = None
    sizes: list[Size] = msgspec.field(default_factory=list)
    by_name: dict[str, Size] = msgspec.field(default_factory=dict)
    by_number: dict[int, Size] = msgspec.field(default_factory=dict)
    either: tuple[Size, str] | None = None
    marks: list[Mark] = msgspec.field(default_factory=list)
    unique: frozenset[str] = frozenset()
    card: Annotated[str, Sensitive] = ""
    renamed: int = msgspec.field(default=0, name="re-named")


BUS = CommandBus({Order: lambda message: None, Create: lambda message: 1})
GOOD = {"sku": "yoyo", "price": "1.50"}


def test_a_type_or_its_name_with_a_mapping() -> None:
    # MI-2
    assert BUS.create(Create, {"name": "Ada"}) == Create("Ada") == BUS.create("Create", {"name": "Ada"})
    assert BUS.create("order-it", GOOD) == Order("yoyo", Decimal("1.50"))
    assert BUS.create(Create, MappingProxyType({})) == Create()
    assert BUS.create(Create, {"$type": "Create", "name": "Bob"}) == Create("Bob")


@pytest.mark.parametrize("make", [str, str.encode, lambda text: bytearray(text.encode())])
def test_json(make: Any) -> None:
    # MI-2
    text = (
        '{"sku": "yoyo", "price": 1.5, "at": "2026-01-02T03:04:05Z", "number": "00000000-0000-0000-0000-000000000001",'
        ' "sizes": [{"width": 1}], "by_name": {"a": {"width": 2}}, "either": [{"width": 3}, "x"], "re-named": 4}'
    )
    order = BUS.create(Order, make(text))
    assert (order.price, order.number, order.renamed) == (Decimal("1.5"), UUID(int=1), 4)
    assert order.at is not None and order.at.year == 2026
    assert order.sizes == [Size(1)] and order.by_name == {"a": Size(2)} and order.either == (Size(3), "x")


@pytest.mark.parametrize(
    "data", ['{"sku": "x", "price": 1, "by_number": {"5": {"width": 1}}}', None], ids=["json", "python"]
)
def test_keys_that_are_numbers(data: Any) -> None:
    # MI-2
    data = data or {"sku": "x", "price": 1, "by_number": {5: {"width": 1}}}
    assert BUS.create(Order, data).by_number == {5: Size(1)}


WRONG: list[tuple[Any, str, str]] = [
    ({}, "$", "missing required field `sku`"),
    (GOOD | {"sku": 3}, "$.sku", "Expected `str`, got `int`"),
    (GOOD | {"price": "many"}, "$.price", "decimal"),
    (GOOD | {"sizes": [{"width": 1}, {"width": "2"}]}, "$.sizes[1].width", "Expected `int`"),
    (GOOD | {"color": "red"}, "$.color", "unknown field"),
    (GOOD | {"renamed": 3}, "$.renamed", "unknown field"),
    (GOOD | {"sizes": [{"width": 1, "depth": 2}]}, "$.sizes[0].depth", "unknown field"),
    (GOOD | {"by_name": {"a": {"width": 1, "depth": 2}}}, "$.by_name.a.depth", "unknown field"),
    (GOOD | {"by_number": {5: {"width": 1, "depth": 2}}}, "$.by_number.5.depth", "unknown field"),
    (GOOD | {"either": [{"width": 1, "depth": 2}, "x"]}, "$.either[0].depth", "unknown field"),
    (GOOD | {"marks": [{"text": "x", "depth": 2}]}, "$.marks[0].depth", "unknown field"),
    (GOOD | {"$type": "Create"}, "$.$type", "Invalid value"),
    (GOOD | {"by_name": {3: {"width": 1}}}, "$.by_name", "Expected `str`"),
    (None, "$", "Expected `object`"),
    ([], "$", "Expected `object`"),
    ("[1, 2]", "$", "Expected `object`"),
    ("nul", "$", "truncated"),
    ("", "$", "truncated"),
    (b"\xff", "$", "malformed"),
    (b'{"sku": "\xff"}', "$", ""),
    ('{"sku": "\ud800"}', "$", ""),
    ("[" * 100_000, "$", ""),
]


@pytest.mark.parametrize(("data", "path", "message"), WRONG, ids=[str(at) for at in range(len(WRONG))])
def test_data_that_does_not_fit_is_told_with_path_and_message(data: Any, path: str, message: str) -> None:
    # MI-2
    with pytest.raises(InvalidIntent, match="Order is not valid") as info:
        BUS.create(Order, data)
    ((where, what),) = info.value.errors
    assert where == path and message in what and "`" not in where
    assert isinstance(info.value, ValueError) and info.value.intent is Order


def test_every_unknown_field_is_told() -> None:
    # MI-2
    with pytest.raises(InvalidIntent) as info:
        BUS.create(Order, GOOD | {"a": 1, "b": 2})
    assert info.value.errors == (("$.a", "unknown field"), ("$.b", "unknown field"))


def test_a_mapping_of_ones_own() -> None:
    # MI-2
    class Own(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"name": "Ada"}[key]

        def __iter__(self) -> Any:
            return iter(["name"])

        def __len__(self) -> int:
            return 1

    assert BUS.create(Create, Own()) == Create("Ada")


def test_queries_are_made_in_the_same_way() -> None:
    # MI-2
    assert QueryBus({Get: lambda query: ""}).create(Get, '{"id": 3}') == Get(3)


class Point(msgspec.Struct, frozen=True):
    x: int


class Line(Command[None]):
    points: frozenset[Point] = frozenset()


def test_unknown_fields_inside_of_a_set_are_told() -> None:
    # MI-2
    bus = CommandBus({Line: lambda message: None})
    assert bus.create(Line, {"points": [{"x": 1}, {"x": 2}]}) == Line(frozenset({Point(1), Point(2)}))
    with pytest.raises(InvalidIntent) as info:
        bus.create(Line, {"points": [{"x": 1}, {"x": 2, "y": 3}]})
    assert info.value.errors == (("$.points[1].y", "unknown field"),)


def test_json_in_memory() -> None:
    # MI-2
    assert BUS.create(Create, memoryview(b'{"name": "Ada"}')) == Create("Ada")
