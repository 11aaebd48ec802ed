"""One function takes hints apart for every module that looks into them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, NewType, Required, TypeVar, Union

import pytest
from typing_extensions import TypeAliasType

from modd import Bus, Message
from modd.core.field_hints import hints_of_fields, substitute, take_apart
from modd.cqrs import Command, CommandBus, Envelope, InvalidIntent
from modd.errors import UnresolvedAnnotation
from modd.middleware import Validator
from tests.names import A, B, C

T = TypeVar("T")
U = TypeVar("U")
Either = TypeAliasType("Either", A | B)
Optional = TypeAliasType("Optional", T | None, type_params=(T,))
Small = TypeAliasType("Small", Annotated[int, "small"])
Age = NewType("Age", int)
OldAge = NewType("OldAge", Age)


@pytest.mark.parametrize(
    ("hint", "bare", "origin", "args", "metadata"),
    [
        (int, int, int, (), ()),
        (Age, int, int, (), ()),
        (OldAge, int, int, (), ()),
        (list[int], list[int], list, (int,), ()),
        (int | None, int | None, Union, (int, type(None)), ()),
        (Union[int, "A"], Union[int, "A"], Union, None, ()),
        (Small, int, int, (), ("small",)),
        (Annotated[Small, "outer"], int, int, (), ("small", "outer")),
        (Optional[int], int | None, Union, (int, type(None)), ()),
        (Required[Annotated[Age, 1]], int, int, (), (1,)),
        (ClassVar[Small], int, int, (), ("small",)),
        (ClassVar, ClassVar, ClassVar, (), ()),
        (T, T, T, (), ()),
    ],
)
def test_wrappers_are_taken_off_and_their_metadata_kept(
    hint: Any, bare: Any, origin: Any, args: Any, metadata: tuple[Any, ...]
) -> None:
    # DF-22
    parts = take_apart(hint)
    assert (parts.bare, parts.origin, parts.metadata) == (bare, origin, metadata)
    assert args is None or parts.args == args


def test_type_variables_are_replaced_and_the_others_stay() -> None:
    hint: Any = dict[T, list[U]]  # type: ignore[valid-type]
    assert substitute(hint, {T: int}) == dict[int, list[U]]  # type: ignore[valid-type]
    assert substitute(T, {T: int}) is int and substitute(U, {T: int}) is U
    assert substitute(Box, {T: int}) is Box and substitute(None, {T: int}) is None


class Box(Message, Generic[T]):
    value: T


class Shelf(Box[U], Generic[T, U]):
    label: dict[T, U]


class NamedShelf(Shelf[int, str]): ...


class date:
    """A name that a field has, too."""


class Dated(Message):
    date: date


def test_hints_of_fields_name_the_arguments_of_generic_bases() -> None:
    # DF-22
    for kind in (Shelf[int, str], NamedShelf):
        hints = hints_of_fields(kind)
        assert (hints["value"], hints["label"]) == (str, dict[int, str])
    assert hints_of_fields(Dated)["date"] is date


@pytest.mark.anyio
async def test_a_type_alias_is_taken_where_its_type_is() -> None:
    # DF-22
    seen: list[Message] = []

    def take(message: Either) -> None:
        seen.append(message)

    bus = Bus([take])
    for message in (A(), B(), C()):
        await bus(message)
    assert seen == [A(), B()]


class Grow(Command[int]):
    by: Annotated[Small, "note"]
    old: Optional[int] = None


Word = NewType("Word", str)
Wrapped = TypeAliasType("Wrapped", Envelope[Grow])


@pytest.mark.anyio
async def test_handlers_and_validation_see_through_type_aliases() -> None:
    # DF-22
    def grow(envelope: Wrapped) -> int:
        return envelope.message.by + 1

    commands = CommandBus([grow], middleware=[Validator()])
    assert await commands.ask(Grow(1, 2)) == 2
    for wrong in (Grow("x"), Grow(1, "x")):  # type: ignore[arg-type]
        with pytest.raises(InvalidIntent):
            await commands.ask(wrong)
    by_alias = CommandBus([grow], middleware=[Validator({Grow: {"output": Word}})])
    with pytest.raises(InvalidIntent, match="result"):
        await by_alias.ask(Grow(1))


Late = NewType("Late", "Grown")
Lost = NewType("Lost", "Nowhere")  # type: ignore[name-defined,valid-newtype]  # noqa: F821


class Grown(Message): ...


def test_a_new_type_is_looked_up_where_it_stands_and_its_text_is_left_if_it_cannot_be_found() -> None:
    assert take_apart(Late).bare is Grown and take_apart(Lost).bare == "Nowhere"

    def take(message: Late) -> None: ...
    def lose(message: Lost) -> None: ...

    assert Bus([take]).accepts.types == (Grown,)
    with pytest.raises(UnresolvedAnnotation, match="'Nowhere' is not defined"):
        Bus([lose])


def test_the_layers_of_a_hint_are_what_each_wrapper_stands_for() -> None:
    # DF-22
    hint: Any = Annotated[OldAge, 1]
    assert [*take_apart(hint).layers] == [hint, OldAge, Age, int]
    assert [*take_apart(int).layers] == [int]


class Itself:
    """Like a type alias that stands for itself."""

    __value__: Any


Itself.__name__ = "TypeAliasType"


def test_an_alias_that_stands_for_itself_comes_to_an_end() -> None:
    endless = Itself()
    endless.__value__ = endless
    assert take_apart(endless).bare is endless


@pytest.mark.anyio
@pytest.mark.parametrize("known", [{OldAge: 3, int: 4}, {Age: 3, int: 4}, {int: 3}])
async def test_a_resource_is_found_by_the_nearest_name_of_its_type(known: dict[Any, int]) -> None:
    # DF-22
    def grow(message: Grow, age: Annotated[OldAge, "note"] | None) -> int:
        return age or 0

    assert await CommandBus([grow], resources=known).ask(Grow(1)) == 3
