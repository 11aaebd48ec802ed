"""From the text of a variable to a value, by the type of the field."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd import InvalidOption
from modd.app import InvalidSettings
from tests.app.configs import Level, Mail, Mode, settings_with

T = TypeVar("T")
Port = NewType("Port", int)
Small = Annotated[int, msgspec.Meta(le=9)]


class Number(int):
    pass


class Address(str):
    def __new__(cls, text: str) -> Address:
        if "@" not in text:
            raise TypeError(f"{text} is no address")
        return super().__new__(cls, text)


class Foreign:
    pass


class Nested(msgspec.Struct):
    path: Path
    count: int = 0

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"{self.count} is negative")


def load(hint: Any, text: str) -> Any:
    return settings_with(x=hint).load({"X": text}).x


READ: list[tuple[Any, str, Any]] = [
    (str, " a ", " a "),
    (str, "", ""),
    (Address, "a@b", Address("a@b")),
    (int, "-12", -12),
    (int, " 1_000 ", 1000),
    (Number, "3", Number(3)),
    (float, "1e3", 1000.0),
    (float, "3", 3.0),
    (float, "inf", float("inf")),
    *((bool, text, True) for text in ("1", "true", "YES", "On", " 1 ")),
    *((bool, text, False) for text in ("0", "False", "no", "OFF")),
    (Path, "/a b", Path("/a b")),
    (PurePosixPath, "a", PurePosixPath("a")),
    (Mode, "fast", Mode.FAST),
    (Mode, "FAST", Mode.FAST),
    (Level, "2", Level.HIGH),
    (Level, "HIGH", Level.HIGH),
    (Literal["a", 1, True, None], "a", "a"),
    (Literal["a", 1, True, None], "1", 1),
    (Literal["a", 1, True, None], "yes", True),
    (Literal["a", 1, True, None], "", None),
    (Literal[Mode.FAST], "fast", Mode.FAST),
    (int | None, "", None),
    (int | None, "3", 3),
    (Optional[Path], "x", Path("x")),  # noqa: UP045
    (None | str, "", None),
    (Union[Mail, None], "", None),  # noqa: UP007
    (Mail | None, '{"host": "x"}', Mail(host="x")),
    (Mail | None, "null", None),
    (int | str | None, "", None),
    (int | str | None, "3", 3),
    (int | str, '"a"', "a"),
    (list[int], "1, 2 ,3", [1, 2, 3]),
    (list[int], "  ", []),
    (list, "a,b", ["a", "b"]),
    (set[Mode], "fast,SAFE", {Mode.FAST, Mode.SAFE}),
    (frozenset[str], "a,a", frozenset({"a"})),
    (tuple[Path, ...], "a, b", (Path("a"), Path("b"))),
    (tuple[int, str], "1,a", (1, "a")),
    (list[int | None], "1,,2", [1, None, 2]),
    (list[bool] | None, "", None),
    (list[bool] | None, "on,off", [True, False]),
    (list[list[int]], "[[1], [2, 3]]", [[1], [2, 3]]),
    (list[Mail], '[{"host": "x"}]', [Mail(host="x")]),
    (dict[str, int], '{"a": 1}', {"a": 1}),
    (dict[str, Path], '{"a": "b"}', {"a": Path("b")}),
    (Sequence[int], "[1]", [1]),
    (Any, "[1]", [1]),
    (T, "[1]", [1]),
    (Nested, '{"path": "x"}', Nested(Path("x"))),
    (date, "2026-11-28", date(2026, 11, 28)),
    (date | None, "2026-11-28", date(2026, 11, 28)),
    (date | None, "", None),
    (datetime, '"2026-11-28T05:00:00Z"', datetime(2026, 11, 28, 5, tzinfo=UTC)),
    (timedelta, "PT5S", timedelta(seconds=5)),
    (time, "05:00:00", time(5)),
    (Decimal, "1.10", Decimal("1.10")),
    (UUID, "12345678123456781234567812345678", UUID(int=0x12345678123456781234567812345678)),
    (Port, "80", 80),
    (Small, "9", 9),
    (Optional[Small], "", None),  # noqa: UP045
    (Annotated[Optional[Small], msgspec.Meta(ge=1)], "", None),  # noqa: UP045
    (list[Small], "1,9", [1, 9]),
    (Annotated[list[int], msgspec.Meta(min_length=1)], "1", [1]),
    (Annotated[Path, msgspec.Meta(description="a path")], "x", Path("x")),
]


@pytest.mark.costly
@pytest.mark.parametrize(("hint", "text", "value"), READ)
def test_a_text_is_read_by_the_type_of_its_field(hint: Any, text: str, value: Any) -> None:
    # AP-2
    read = load(hint, text)
    assert (read, type(read)) == (value, type(value))


REFUSED: list[tuple[Any, str, str]] = [
    (str, "\udcff", "is not UTF-8"),
    (Address, "a", "'a' is no Address"),
    (int, "x", "'x' is no int"),
    (int, "1.0", "'1.0' is no int"),
    (float, "", "'' is no float"),
    (float, "nan", "'nan' is no float"),
    (bool, "maybe", "'maybe' is no bool: 1 or 0, true or false, yes or no, on or off"),
    (bool, "", "'' is no bool: 1 or 0, true or false, yes or no, on or off"),
    (Path, "", "'' is no Path"),
    (Mode, "slow", "'slow' is none of: fast, safe"),
    (Level, "3", "'3' is none of: LOW, HIGH"),
    (Literal["a", 1, True, None], "b", "'b' is none of: a, 1, true, None"),
    (Literal[b"a"], "a", "'a' is none of: b'a'"),
    (int | None, "x", "'x' is no int"),
    (list[int], "1,x", "'x' is no int"),
    (list[int], "1,,2", "'' is no int"),
    (list[str], "a,b,", "'a,b,' has an empty item"),
    (tuple[int, str], "1", "'1' needs 2 items, and has 1"),
    (tuple[int, int], "1,2,3", "'1,2,3' needs 2 items, and has 3"),
    (Sequence[int], "1,2", "is no JSON (Sequence[int])"),
    (dict[str, int], "", "is no JSON (dict[str, int])"),
    (dict[str, int], "\udcff", "is no JSON (dict[str, int])"),
    (dict[str, int], '{"a": "b"}', "does not fit dict[str, int]: [...]: expected `int`, got `str`"),
    (list[Any], "[" * 100_000, "is no JSON (list[Any])"),
    (list[Mail], '[{"host": 1}]', "does not fit list[Mail]: [0].host: expected `str`, got `int`"),
    (Nested, '{"path": "x", "count": -77}', "does not fit Nested: *** is negative"),
    (Nested, '{"path": 3}', "does not fit Nested: path: expected `Path`, got `int`"),
    (Foreign, "{}", "does not fit Foreign: expected `Foreign`, got `dict`"),
    (date, "tomorrow", "does not fit date, such as 2026-11-28: invalid RFC3339 encoded date"),
    (date | None, "tomorrow", "does not fit date | None, such as 2026-11-28: invalid RFC3339 encoded date"),
    (date, "next week", "is no JSON (date, such as 2026-11-28)"),
    (timedelta, "30", "does not fit timedelta, such as PT30S: invalid ISO8601 duration"),
    (Small, "10", "'10' is refused: expected `int` <= 9"),
    (list[Small], "1,10", "'10' is refused: expected `int` <= 9"),
    (Annotated[list[int], msgspec.Meta(min_length=1)], "", "'' is refused: expected `array` of length >= 1"),
    (Annotated[str, msgspec.Meta(pattern="^a")], "b", "'b' is refused: expected `str` matching regex '^a'"),
]


@pytest.mark.parametrize(("hint", "text", "problem"), REFUSED)
def test_a_text_that_does_not_fit_is_an_error(hint: Any, text: str, problem: str) -> None:
    # AP-2
    with pytest.raises(InvalidSettings) as caught:
        load(hint, text)
    assert caught.value.errors == (("X", problem),)


@pytest.mark.parametrize("hint", [Annotated[Path, msgspec.Meta(min_length=1)], dict[str, int] | dict[str, str]])
def test_a_type_that_msgspec_does_not_have_is_named_with_its_field(hint: Any) -> None:
    # AP-2
    with pytest.raises(InvalidOption, match=r"^x=.*: msgspec has no such type"):
        load(hint, "{}")


class Letter(Enum):
    FIRST = "a"
    BLANK = " "


class Count(IntEnum):
    ONE = 1
    NONE = 0


def encode(value: Any) -> str:
    """Return the text of a value, as a user would write it."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return " , ".join(map(encode, value))
    return "" if value is None else str(value)


WORDS = st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"], exclude_characters=","), min_size=1)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: WORDS,
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    Path: WORDS.map(Path),
    Count: st.sampled_from(Count),
    Literal["a", 1]: st.sampled_from(["a", 1]),
}


def collections(hint: Any, values: st.SearchStrategy[Any]) -> list[tuple[Any, st.SearchStrategy[Any]]]:
    """Return hints with strategies: the values themselves, with None, and collections of them."""
    return [
        (hint, values),
        (hint | None, st.none() | values),
        (list[hint], st.lists(values)),
        (tuple[hint, ...], st.lists(values).map(tuple)),
        (tuple[hint, hint], st.tuples(values, values)),
        (set[hint], st.sets(values)),
        (frozenset[hint] | None, st.sets(values, min_size=1).map(frozenset)),
    ]


ALL = [
    (str, st.text(st.characters(exclude_categories=["Cs"]))),
    (Letter, st.sampled_from(Letter)),
    *(each for hint, values in PLAIN.items() for each in collections(hint, values)),
]


EXAMPLES = settings(max_examples=500 if os.environ.get("MODD_PROFILE") == "long" else 20)
"""Of each of some sixty types."""


@pytest.mark.slow
@pytest.mark.parametrize(("hint", "values"), ALL, ids=lambda value: str(value)[:40])
def test_a_value_comes_back_from_its_text(hint: Any, values: st.SearchStrategy[Any]) -> None:
    # AP-2
    @EXAMPLES
    @given(values)
    def comes_back(value: Any) -> None:
        read = load(hint, encode(value))
        assert (read, type(read)) == (value, type(value))

    comes_back()


JSON: list[Any] = [
    dict[str, int],
    list[list[int]],
    Mail,
    Nested | None,
    date,
    datetime,
    Decimal,
    UUID,
    list[UUID],
    dict[str, Path] | None,
]


@pytest.mark.slow
@pytest.mark.parametrize("hint", JSON, ids=str)
def test_a_value_of_any_other_type_comes_back_from_its_json(hint: Any) -> None:
    # AP-2
    naturals = st.integers(0, 2**40)
    made = {
        Mail: st.builds(Mail, host=WORDS, key=WORDS),
        Nested | None: st.none() | st.builds(Nested, WORDS.map(Path), naturals),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False),
        dict[str, Path] | None: st.none() | st.dictionaries(WORDS, WORDS.map(Path)),
        datetime: st.datetimes(timezones=st.just(UTC)),
    }

    @EXAMPLES
    @given(made.get(hint, st.from_type(hint)))
    def comes_back(value: Any) -> None:
        assert load(hint, msgspec.json.encode(value, enc_hook=str).decode()) == value

    comes_back()
