"""Every misfit in raw data is found, by its path and without its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd import Message
from modd.core.misfits import convert_all, path_steps


class Point(msgspec.Struct):
    x: int
    y: Annotated[int, msgspec.Meta(ge=0)] = 0


class Named(Message):
    name: str


class Numbered(Message):
    number: int


class Strict(msgspec.Struct):
    text: str

    def __post_init__(self) -> None:
        if self.text == "secret":
            raise ValueError("no secret")


class Nested(msgspec.Struct):
    inside: Nested | None = None


class Row(msgspec.Struct, array_like=True):
    first: int
    second: int


@dataclass
class Box:
    size: Point
    label: str = "box"
    inner: list[int] = field(default_factory=list)
    seal: int = field(default=0, init=False)


Few = Annotated[list[int], msgspec.Meta(max_length=1)]

CASES: list[tuple[Any, Any, set[tuple[tuple[str | int, ...], str]]]] = [
    ({}, Point, {(("x",), "missing")}),
    ({"x": "a", "y": -1, "z": 1}, Point, {(("x",), "invalid"), (("y",), "invalid"), (("z",), "unknown")}),
    ({"x": 1, "z": 1}, Point, {(("z",), "unknown")}),
    (3, Point, {((), "invalid")}),
    ("b", Literal["a"], {((), "invalid")}),
    (["a", 1, "b"], list[int], {((0,), "invalid"), ((2,), "invalid")}),
    (["a", 1], Few, {((), "invalid"), ((0,), "invalid")}),
    ([1, 2], Few, {((), "invalid")}),
    (["a", 1], tuple[int, str], {((0,), "invalid"), ((1,), "invalid")}),
    (["a", "b"], tuple[int, ...], {((0,), "invalid"), ((1,), "invalid")}),
    ([1], tuple[int, str], {((), "invalid")}),
    ({"a": "b", "1": 1}, dict[int, int], {(("a",), "invalid")}),
    ({"a": {}}, Mapping[str, Point], {(("a", "x"), "missing")}),
    ({"a": 1}, dict, set()),
    ({"size": {"x": 1, "y": "a"}, "inner": [1, None]}, Box, {(("size", "y"), "invalid"), (("inner", 1), "invalid")}),
    ({"$type": "Named"}, Named | Numbered, {(("name",), "missing")}),
    ({"$type": "Other"}, Named | Numbered, {(("$type",), "invalid")}),
    ({"$type": "Other", "name": 1}, Named, {(("$type",), "invalid"), (("name",), "invalid")}),
    ({"name": 1}, Named | Numbered, {((), "invalid")}),
    ({"a": 1, "b": 2}, dict[int, int], {(("a",), "invalid"), (("b",), "invalid")}),
    (4, Named | Numbered, {((), "invalid")}),
    ({"x": "a"}, Point | None, {(("x",), "invalid")}),
    ("a", Point | None, {((), "invalid")}),
    ({"text": "secret"}, Strict, {((), "invalid")}),
    ([1, "a"], Row, {((1,), "invalid")}),
    ([{"x": 1, "z": 2}], set[tuple[int, ...]], {((0,), "invalid")}),
]


@pytest.mark.parametrize(("data", "hint", "found"), CASES)
def test_every_misfit_is_found(data: Any, hint: Any, found: set[tuple[tuple[str | int, ...], str]]) -> None:
    # FA-1
    made, misfits = convert_all(data, hint)
    assert {(each.path, each.kind) for each in misfits} == found
    assert (made is None) is bool(found)


def test_a_text_of_a_hook_has_no_value() -> None:
    # FA-1
    _, [misfit] = convert_all({"text": "secret"}, Strict)
    assert misfit.text == "no ***"


def test_data_that_is_nested_too_deeply_is_a_misfit() -> None:
    # FA-1
    data: dict[str, Any] = {}
    for _ in range(100_000):
        data = {"inside": data}
    _, [misfit] = convert_all(data, Nested)
    assert (misfit.path, misfit.text) == ((), "Nested too deeply")
    while data:  # a dictionary of this depth is freed from outside in
        data = data.pop("inside", {})


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "size", "inner"]), inner),
    max_leaves=10,
)


@pytest.mark.unmeasured
@pytest.mark.costly
@settings(max_examples=200)
@given(VALUES)
def test_data_has_misfits_if_and_only_if_it_does_not_fit(data: Any) -> None:
    # FA-1
    made, misfits = convert_all(data, Box)
    try:
        fits = msgspec.convert(data, Box, str_keys=True) is not None
    except msgspec.ValidationError:
        fits = False
    assert misfits if not fits else all(each.kind == "unknown" for each in misfits)
    assert (made is None) is bool(misfits)


def test_a_path_has_steps() -> None:
    # FA-1
    assert path_steps("$.lines[0].sku-no[...]") == ("lines", 0, "sku-no", "...") and path_steps("$") == ()
