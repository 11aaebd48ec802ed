"""Messages are values of types of their own (MO-4, MO-12)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import msgspec
import pytest

from modd import Bus, DuplicateName, Failure, Intent, Message, Sensitive, TurnFailed
from modd.texts import describe

if TYPE_CHECKING:
    from elsewhere import Unknown  # type: ignore[import-not-found]

T = TypeVar("T")


class Placed(Message, tag="order-placed"):
    """A message with a wire name of its own."""

    sku: str
    price: Decimal = Decimal(1)
    parts: list[int] = msgspec.field(default_factory=list)


class Typed(Message):
    """Users may call a field type."""

    type: str
    kind: int = 0


class Paid(Message):
    """With fields that nobody is to see."""

    order: int
    card: Annotated[str, Sensitive]
    pins: list[Annotated[int, Sensitive()]] = msgspec.field(default_factory=list)
    note: Annotated[str, "not a secret"] | None = None


class PaidTwice(Paid):
    """Inherits them."""

    cvc: Annotated[str, Sensitive] | None = None


class Pair(Message, Generic[T]):
    """A generic message."""

    left: T


class PriceOf(Intent[Decimal]):
    """A message with a result."""

    sku: str


def test_messages_are_equal_by_type_and_value() -> None:
    # MO-4
    class Same(Message):
        n: int

    class Other(Message):
        n: int

    assert Same(1) == Same(n=1) != Same(2)
    other: object = Other(1)
    assert Same(1) != other
    assert hash(Same(1)) == hash(Same(1))
    assert len({Same(1), Same(1), Same(2)}) == 2


def test_a_message_may_have_no_fields_and_is_frozen() -> None:
    # MO-4
    class Empty(Message):
        pass

    assert Empty() == Empty() and repr(Empty()) == "Empty()"
    with pytest.raises(AttributeError):
        Typed("x").kind = 2  # type: ignore[misc]


def test_a_message_with_unhashable_fields_is_not_hashable() -> None:
    # MO-4
    with pytest.raises(TypeError, match="unhashable"):
        hash(Placed("a"))


def test_the_name_on_the_wire_is_the_class_name_or_the_one_given_and_takes_no_field_name() -> None:
    # MO-4
    assert msgspec.json.encode(Typed("x")) == b'{"$type":"Typed","type":"x","kind":0}'
    encoded = msgspec.json.encode(Placed("KAY"))
    assert b'"$type":"order-placed"' in encoded
    assert msgspec.json.decode(encoded, type=Placed | Typed) == Placed("KAY")
    assert msgspec.json.decode(msgspec.json.encode(Pair(1)), type=Pair[int]) == Pair(1)


def test_garbage_collection_of_messages_stays_on() -> None:
    # MO-4
    assert Placed.__struct_config__.gc and Typed.__struct_config__.gc


def test_an_intent_is_a_message_with_a_result_type() -> None:
    assert isinstance(PriceOf("KAY"), Message) and PriceOf("KAY").sku == "KAY"


def test_sensitive_fields_show_as_stars_and_are_encoded_all_the_same() -> None:
    # MO-12
    paid = Paid(1, "4111", [1, 2], "hello")
    assert repr(paid) == "Paid(order=1, card=***, pins=***, note='hello')"
    assert repr(PaidTwice(1, "4111", cvc="123")) == "PaidTwice(order=1, card=***, pins=***, note=None, cvc=***)"
    assert "4111" not in f"{paid}" and "4111" not in describe(paid)
    assert dict(paid.__rich_repr__())["order"] == 1
    assert b"4111" in msgspec.json.encode(paid)


def test_sensitive_fields_are_masked_when_a_hint_of_another_field_cannot_be_resolved() -> None:
    # MO-12
    class Broken(Message):
        secret: Annotated[str, Sensitive]
        other: Unknown

    assert repr(Broken("4111", 1)) == "Broken(secret=***, other=1)"


@pytest.mark.anyio
async def test_two_types_of_one_name_given_to_one_bus_are_an_error_that_names_both() -> None:
    # MO-4
    def first() -> type[Message]:
        class Tick(Message):
            pass

        return Tick

    def second() -> type[Message]:
        class Tick(Message):
            pass

        return Tick

    one, two = first(), second()

    def takes(kind: type[Message]) -> object:
        def component(message: Message) -> None:
            return None

        component.__annotations__["message"] = kind
        return component

    with pytest.raises(DuplicateName) as caught:
        Bus([takes(one), takes(two)], name="clock")  # type: ignore[list-item]
    assert "first.<locals>.Tick" in str(caught.value) and "second.<locals>.Tick" in str(caught.value)
    assert "clock" in str(caught.value) and "tag=" in str(caught.value)
    with pytest.raises(DuplicateName):
        Bus([takes(one)], outbound=[two])  # type: ignore[list-item]

    bus = Bus([takes(one), lambda message: two() if isinstance(message, Typed) else None])  # type: ignore[list-item]
    with pytest.raises(DuplicateName):
        await bus(two())
    with pytest.raises(TurnFailed) as failed:
        await bus(Typed("x"))
    assert isinstance(failed.value.exceptions[0], DuplicateName)
    assert await bus(one()) == ()


def test_a_failure_is_a_message() -> None:
    # MO-17
    error = ValueError("x")
    assert Failure(Typed("a"), print, error) == Failure(Typed("a"), print, error)


def test_long_values_are_shortened_in_errors() -> None:
    # MO-13
    assert len(describe("x" * 500)) < 100 and describe(5) == "5 (int)" and describe(int) == "the class int"
