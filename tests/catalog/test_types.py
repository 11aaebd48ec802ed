"""The description of types and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import pytest
from typing_extensions import TypeAliasType

from modd import Message, Sensitive
from modd.catalog.entries import FieldEntry
from modd.catalog.types import describe_message, describe_state, first_line, type_text
from modd.cqrs import Command

Name = NewType("Name", str)
T = TypeVar("T")
Tree = TypeAliasType("Tree", "dict[str, Tree]")


class Plain:
    """A class.

    And more.
    """

    def method(self) -> None:
        """Call it."""


@dataclass
class Point:
    x: int
    y: Annotated[int, Sensitive] = 0
    more: list[int] = field(default_factory=list)
    origin: ClassVar[int] = 0


@dataclass(slots=True)
class Slotted(Point):
    z: int = 0


class Bare:
    """Has annotations alone."""

    x: int
    y: int = 0
    z: ClassVar[int] = 0


class Pair(NamedTuple):
    left: int
    right: str = ""


class Box(Message, Generic[T]):
    content: T


class Late(Command["Unheard"]):  # type: ignore[name-defined]
    when: Unheard  # type: ignore[name-defined]  # noqa: F821


def documented() -> None:
    """Do one thing.

    Then another.
    """


def undocumented() -> None: ...


def blank() -> None:
    """ """


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Plain, "Plain"),
        (Any, "Any"),
        (Optional[int], "int | None"),  # noqa: UP045
        (Union[int, str], "int | str"),  # noqa: UP007
        (int | None, "int | None"),
        (list[int], "list[int]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Mapping[str, list[Plain]], "Mapping[str, list[Plain]]"),
        (Callable[[int], str], "Callable[[int], str]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Annotated[str, Sensitive], "str"),
        (Name, "str"),
        (T, "T"),
        ("Unheard", "Unheard"),
    ],
)
def test_a_hint_is_written_as_in_code(hint: Any, text: str) -> None:
    assert type_text(hint) == text


def test_an_alias_that_names_itself_ends() -> None:
    assert type_text(Tree).endswith("...]]]]]") or "Tree" in type_text(Tree)


def test_fields_of_classes_that_are_no_messages_are_described() -> None:
    assert describe_state(Point(1)).fields == [
        FieldEntry("x", "int"),
        FieldEntry("y", "int", required=False, sensitive=True),
        FieldEntry("more", "list[int]", required=False),
    ]
    assert describe_state(Pair(1)).fields == [FieldEntry("left", "int"), FieldEntry("right", "str", required=False)]
    assert [each.required for each in describe_state(Slotted).fields] == [True, False, False, False]
    assert describe_state(Bare()).fields == [FieldEntry("x", "int"), FieldEntry("y", "int", required=False)]
    assert describe_state(Point).doc == "" and describe_state("text").fields == []
    assert describe_state(()).type == "tuple"


def test_types_that_cannot_be_found_are_told_by_their_names() -> None:
    late = describe_message(Late)
    assert (late.result, late.fields) == ("Any", [FieldEntry("when", "Unheard")])
    assert describe_message(Box).fields == [FieldEntry("content", "T")]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (documented, "Do one thing."),
        (partial(documented), "Do one thing."),
        (undocumented, ""),
        (blank, ""),
        (Plain, "A class."),
        (Plain(), "A class."),
        (Plain().method, "Call it."),
        (partial(Plain().method), "Call it."),
        (Point(1), ""),
        (Late, ""),
        (cache(documented), "Do one thing."),
        (len, "Return the number of items in a container."),
    ],
)
def test_the_first_line_of_a_docstring_is_that_of_the_function_or_the_class_itself(value: Any, line: str) -> None:
    # WM-74
    assert first_line(value) == line
