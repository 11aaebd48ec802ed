"""A field is sensitive wherever the mark stands in its hint, and in the type of the value that is really there."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)

import msgspec
import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from modd import Message, Sensitive
from modd.core import Value

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

T = TypeVar("T")
U = TypeVar("U")
Secret = Annotated[str, Sensitive]
B = TypeVar("B", bound=Secret)
Name = NewType("Name", Secret)  # pyright: ignore[reportGeneralTypeIssues]
Alias = TypeAliasType("Alias", Secret)
Listed = TypeAliasType("Listed", list[T], type_params=(T,))


class Card(NamedTuple):
    number: Secret
    kind: str = ""


class Row(TypedDict, Generic[T], total=False):
    number: NotRequired[T]


class Derived(Row[Secret]): ...


class Plain(msgspec.Struct):
    kind: str = ""


class WithNumber(Plain):
    number: Secret = ""


@dataclass
class Holder:
    inner: Any


@dataclass
class Linked:
    number: Secret
    next: Linked | None = None


class Model(BaseModel):
    number: Annotated[str, Sensitive]


class Pair(msgspec.Struct, Generic[T, U]):
    first: T
    second: U


class Half(Pair[int, U]): ...


class Masked(Value, frozen=True):
    number: Secret


class Box(Message, Generic[T]):
    value: T


class Inner(Box[list[T]], Generic[T]): ...


class SecretBox(Inner[Secret]): ...


HINTS = {
    "NewType": Name,
    "alias": Alias,
    "alias with arguments": Listed[Secret],
    "NamedTuple": Card,
    "TypedDict": Row[Secret],
    "derived TypedDict": Derived,
    "union": Secret | None,  # pyright: ignore[reportOperatorIssue]
    "list": list[Secret],
    "mapping": dict[str, tuple[Secret, ...]],
    "generic struct": Pair[int, Secret],
    "derived generic": Half[Secret],
    "bound of a type variable": B,
    "alias of a type variable": Annotated[B, "note"],  # pyright: ignore[reportGeneralTypeIssues]
    "instance of the mark": Annotated[str, "note", Sensitive()],
    "dataclass within itself": Linked,
    "field of a field": list[Pair[int, Card]],
    "pydantic model": Model,
}


@pytest.mark.parametrize("name", HINTS)
def test_the_mark_counts_wherever_it_stands_in_a_hint(name: str) -> None:
    # DF-21
    kind: Any = msgspec.defstruct("Marked", [("field", HINTS[name])], bases=(Message,), frozen=True)
    assert repr(kind("4111")) == "Marked(field=***)"


@pytest.mark.parametrize(
    "hint", [str, Masked, Literal["Sensitive"], Pair[int, str], Listed[int], type[Card], ClassVar[int], T]
)
def test_a_hint_without_the_mark_shows_the_value(hint: Any) -> None:
    class Seen(Message):
        field: Any

    Seen.__annotations__["field"] = hint
    assert repr(Seen("seen")) == "Seen(field='seen')"


def test_type_variables_of_generic_bases_stand_for_what_the_subclass_names() -> None:
    # DF-21
    assert repr(SecretBox(["4111"])) == "SecretBox(value=***)"
    assert repr(Inner(["4111"])) == "Inner(value=['4111'])"


class Open(Message):
    field: Any


class Based(Message):
    field: Plain


VALUES: dict[str, Any] = {
    "derived struct": WithNumber("", "4111"),
    "NamedTuple": Card("4111"),
    "dataclass": Linked("4111"),
    "list": [1, Card("4111")],
    "deque": deque([Card("4111")]),
    "frozenset": frozenset({Card("4111")}),
    "key": {Card("4111"): 1},
    "mapping": MappingProxyType({"card": Card("4111")}),
    "field of a dataclass": Holder(WithNumber("", "4111")),
    "pydantic model": Model(number="4111"),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_mark_counts_in_the_type_of_the_value_that_is_really_there(name: str) -> None:
    # DF-21
    assert repr(Open(VALUES[name])) == "Open(field=***)"


def test_a_derived_struct_is_masked_where_the_hint_names_its_base() -> None:
    # DF-21
    assert repr(Based(WithNumber("", "4111"))) == "Based(field=***)"
    assert repr(Based(Plain("open"))) == "Based(field=Plain(kind='open'))"


def test_values_without_secrets_are_shown() -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    assert repr(Open(endless)) == "Open(field=[1, [...]])"
    assert repr(Open([Masked("4111"), Holder(Plain("open")), Card])) == (
        f"Open(field=[Masked(number=***), Holder(inner=Plain(kind='open')), {Card!r}])"
    )


def test_a_value_that_is_too_deep_to_look_into_is_masked() -> None:
    deep: Any = Card("4111")
    for _ in range(5000):
        deep = [deep]
    assert repr(Open(deep)) == "Open(field=***)"


def test_the_names_in_a_hint_that_cannot_be_resolved_still_tell() -> None:
    # DF-21
    class Unresolved(Message):
        plain: Unknown
        card: Unknown | Secret
        name: Unknown | Name  # pyright: ignore[reportInvalidTypeForm]
        text: Unknown | Annotated[str, Sensitive]
        other: Secret

    assert repr(Unresolved(1, "4111", "4111", "4111", "4111")) == (
        "Unresolved(plain=1, card=***, name=***, text=***, other=***)"
    )
