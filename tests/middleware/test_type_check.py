"""Values are compared with their type hints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from modd import Sensitive, Value
from modd.middleware.type_check import find_misfits

T = TypeVar("T")


class Item(Value, frozen=True):
    sku: str
    count: Annotated[int, Meta(ge=1)] = 1


class Gift(Item, frozen=True):
    note: str = ""


class Page(Value, Generic[T], frozen=True):
    items: tuple[T, ...]


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


class Point(NamedTuple):
    x: int


class Opaque:
    pass


class Other:
    pass


class Quiet(Protocol):
    def hush(self) -> None: ...


class Options(TypedDict):
    depth: int


@dataclass
class Box:
    width: int


class Price(float):
    pass


UserId = NewType("UserId", int)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FITTING: list[tuple[Any, Any]] = [
    (int, 1),
    (int, Size.SMALL),
    (float, 1),
    (float, Price(1.5)),
    (complex, 1.5),
    (object, True),
    (Any, Opaque()),
    (None, None),
    (T, 3),
    (date, NOW.date()),
    (datetime, NOW),
    (bytes, b"a"),
    (Colour, Colour.RED),
    (Item, Gift("a")),
    (Page[int], Page((1,))),
    (Page[Item], Page((Gift("a"),))),
    (Item | None, Gift("a")),
    (Opaque | Other | None, Opaque()),
    (Opaque | Other, Other()),
    (Sequence[Item], [Gift("a")]),
    (Sequence[Item], (Gift("a"),)),
    (Iterable[int], (n for n in (1, 2))),
    (Mapping[str, Item], {"a": Gift("a")}),
    (dict, {1: 2}),
    (frozenset[int], frozenset({1})),
    (tuple[int, str], (1, "a")),
    (tuple[()], ()),
    (Point, Point(1)),
    (Box, Box(1)),
    (Options, {"depth": 1}),
    (Callable[[int], int], abs),
    (type[int], bool),
    (Quiet, Opaque()),
    (UserId, 1),
    (Literal["a"], "a"),
    (Annotated[tuple[int, ...], Meta(min_length=1), Sensitive], (1,)),
    (Annotated[int | None, Meta(ge=1)], None),
    (Annotated[Annotated[int, Meta(ge=1)], Meta(le=3)], 2),
]


@pytest.mark.parametrize(("hint", "value"), FITTING)
def test_what_type_checkers_allow_fits(hint: Any, value: Any) -> None:
    # MI-53
    assert find_misfits(value, hint, "$") == []


@pytest.mark.parametrize(
    ("hint", "value", "path", "text"),
    [
        (int, "1", "$", "Expected `int`, got `str`"),
        (int, True, "$", "Expected `int`, got `bool`"),
        (date, NOW, "$", "Expected `date`, got `datetime`"),
        (datetime, "2026-01-01T00:00:00Z", "$", "Expected `datetime`, got `str`"),
        (bytes, "YQ==", "$", "Expected `bytes`, got `str`"),
        (Colour, "red", "$", "Expected `Colour`, got `str`"),
        (Item, {"sku": "a"}, "$", "Expected `Item`, got `dict`"),
        (Item | None, Gift("a", 0), "$.count", "Expected `int` >= 1"),
        (Page[int], Page(("a",)), "$.items[0]", "Expected `int`, got `str`"),
        (Box, {"width": 1}, "$", "Expected `Box`, got `dict`"),
        (tuple[int, ...], [1], "$", "Expected `tuple`, got `list`"),
        (tuple[int], (1, 2), "$", "Expected `tuple` of length 1, got 2"),
        (tuple[int, str], (1, 2), "$[1]", "Expected `str`, got `int`"),
        (Sequence[str], "abc", "$", "Expected `Sequence`, got `str`"),
        (Mapping[str, int], {1: 2}, "$[...]", "Expected `str`, got `int`"),
        (Mapping[str, int], {"a": "b"}, "$[...]", "Expected `int`, got `str`"),
        (Annotated[list[int], Meta(min_length=1)], [], "$", "Expected `array` of length >= 1"),
        (Annotated[Annotated[int, Meta(ge=1)], Meta(le=3)], 4, "$", "Expected `int` <= 3"),
        (Literal["a"], "hidden", "$", "Invalid enum value"),
        (Options, {"depth": "1"}, "$.depth", "Expected `int`, got `str`"),
        (None, 1, "$", "Expected `null`, got `int`"),
        (UserId, "1", "$", "Expected `int`, got `str`"),
        (int | str, 1.5, "$", "Expected `int`, got `float`"),
    ],
)
def test_what_does_not_fit_has_a_path_and_no_value(hint: Any, value: Any, path: str, text: str) -> None:
    # MI-53
    assert find_misfits(value, hint, path="$") == [(path, text)]


HINTS = [
    int,
    str,
    bool,
    float,
    bytes,
    date,
    Decimal,
    None,
    list[int],
    tuple[str, ...],
    dict[str, bool],
    Item,
    int | None,
]


@pytest.mark.slow
@settings(max_examples=100)
@given(st.data())
def test_values_made_for_a_hint_fit_it(data: st.DataObject) -> None:
    # MI-53
    hint: Any = data.draw(st.sampled_from(HINTS))
    made = st.builds(Item, st.text(), st.integers(1, 9)) if hint is Item else st.from_type(hint or type(None))
    value = data.draw(made)
    assert find_misfits(value, hint, "$") == []
    assert find_misfits([value], list[Annotated[hint, Sensitive]], "$") == []  # pyright: ignore
