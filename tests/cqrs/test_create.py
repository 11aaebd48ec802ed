"""Intents from raw data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest

from modd import Sensitive
from modd.cqrs import Command, CommandBus, InvalidIntent, QueryBus
from tests.cqrs.shop import Create, Get

T = TypeVar("T")


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


class Box(msgspec.Struct, Generic[T], frozen=True):
    item: T


class Named(NamedTuple):
    name: str
    points: frozenset[Point] = frozenset()


class Row(msgspec.Struct, array_like=True):
    point: Point


class Typed(TypedDict, total=False):
    points: frozenset[Point]


@dataclass(frozen=True)
class Cat:
    at: Point


class Once(msgspec.Struct, frozen=True):
    """A struct that is made once only: a second conversion of the same data fails."""

    x: int
    made: ClassVar[set[int]] = set()

    def __post_init__(self) -> None:
        if self.x in self.made:
            raise ValueError
        self.made.add(self.x)


P = {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("hint", "data", "paths"),
    [
        (frozenset[frozenset[Point]], [[P], []], ["[0][0].y"]),
        (frozenset[tuple[Point, ...]], [[], [{"x": 1}, P]], ["[1][1].y"]),
        (frozenset[tuple[int, Point]], [[1, P]], ["[0][1].y"]),
        (frozenset[Box[Box[Point]]], [{"item": {"item": P}, "z": 1}], ["[0].z", "[0].item.item.y"]),
        (frozenset[Named], [["a", [P, {"x": 2}]]], ["[0][1][0].y"]),
        (frozenset[Cat] | None, [{"at": P, "z": 1}], ["[0].z", "[0].at.y"]),
        (list[Typed], [{"points": [P]}], ["[0].points[0].y"]),
        (dict[str, frozenset[Point]], {"a": [P]}, [".a[0].y"]),
        (Annotated[frozenset[Annotated[Box[Annotated[Point, ["no key"]]], []]], 1], [{"item": P}], ["[0].item.y"]),
        (Typed | int, {"points": [P]}, [".points[0].y"]),
        (int | frozenset[Point], [P], ["[0].y"]),
        (Row, [P], []),
        (frozenset, [1, 2], []),
        (Any, [[P]], []),
        (frozenset[Once], [P], []),
    ],
)
def test_unknown_fields_are_told_wherever_they_stand(hint: Any, data: Any, paths: list[str]) -> None:
    # MI-2
    kind: Any = msgspec.defstruct("Holder", [("held", hint)], bases=(Command,), module=__name__)
    bus = CommandBus({kind: lambda message: None})
    if not paths:
        assert bus.create(kind, {"held": data})
        return
    for raw in ({"held": data}, json.dumps({"held": data})):
        with pytest.raises(InvalidIntent) as info:
            bus.create(kind, raw)
        assert info.value.errors == tuple((f"$.held{path}", "unknown field") for path in paths)


def test_data_that_is_nested_deeper_than_the_stack_is_invalid_or_looked_through() -> None:
    bus = CommandBus({Deep: lambda message: None})

    def nested(depth: int) -> str:
        return '{"child": ' * depth + '{"z": 1}' + "}" * depth

    with pytest.raises(InvalidIntent, match=r"child\.z"):
        bus.create(Deep, nested(400))
    with pytest.raises(InvalidIntent, match="recursion"):
        bus.create(Deep, nested(100_000))


class Inner(msgspec.Struct):
    child: Inner | None = None


class Deep(Command[None]):
    child: Inner | None = None


def test_json_in_memory() -> None:
    # MI-2
    assert BUS.create(Create, memoryview(b'{"name": "Ada"}')) == Create("Ada")
