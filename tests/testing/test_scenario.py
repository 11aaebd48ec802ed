"""Given, when, then for a bus."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from modd import Bus, Failure, InvalidOption, Message, Sensitive, TurnFailed, TurnOverflow
from modd.testing import given
from tests.names import A, B, C, N, Start

pytestmark = pytest.mark.anyio


class Secret(Message):
    text: Annotated[str, Sensitive]


def counter() -> Bus:
    """Returns how many A it got, says B for each C, fails for Start."""
    count = 0

    def counts(message: A) -> N:
        nonlocal count
        count += 1
        return N(count)

    def answers(message: C) -> list[Message]:
        return [B(), Secret("1")]

    async def fails(message: Start) -> Any:
        yield B()
        raise ValueError("no start")

    return Bus([counts, answers, fails], name="counter", outbound=[B])


async def test_what_components_gave_back_is_as_expected() -> None:
    journey = await given(counter(), A(), A()).when(A(), C()).then(N(3), B(), Secret("1"))
    assert [type(delivery.message) for delivery in journey] == [A, C]


async def test_what_was_given_back_before_does_not_count() -> None:
    await given(counter(), A()).when(B()).then_nothing()


async def test_a_difference_is_shown_with_the_journey() -> None:
    with pytest.raises(AssertionError) as caught:
        await given(counter()).when(A(), C()).then(N(2), B())
    before, journey = str(caught.value).split("\n\nThe journey:\n")
    assert before.splitlines() == [
        "the returned messages differ from the expected ones (- expected, + returned):",
        "- N(n=2)",
        "?     ^",
        "+ N(n=1)",
        "?     ^",
        "  B()",
        "+ Secret(text=***)",
    ]
    assert journey.startswith("A()\n└─ counter.counts")


async def test_a_difference_that_cannot_be_seen_is_named() -> None:
    with pytest.raises(AssertionError, match="look alike and are not equal"):
        await given(counter()).when(C()).then(B(), Secret("2"))


async def test_nothing_was_expected_and_something_was_given_back() -> None:
    with pytest.raises(AssertionError, match=r"\+ N\(n=1\)"):
        await given(counter()).when(A()).then_nothing()


async def test_what_left_the_bus_is_as_expected() -> None:
    journey = await given(counter(), C()).when(C(), A(), C()).then_left(B(), B())
    assert len(journey) == 3


async def test_something_else_left_the_bus() -> None:
    with pytest.raises(AssertionError, match=r"the outbound messages differ[^$]*\n- A\(\)\n\+ B\(\)"):
        await given(counter()).when(C()).then_left(A())


async def test_an_error_that_is_expected_is_returned() -> None:
    error = await given(counter()).when(Start()).then_raises(ValueError)
    assert str(error) == "no start"


async def test_the_group_around_an_error_may_be_expected() -> None:
    error = await given(counter()).when(A(), Start()).then_raises(TurnFailed)
    assert error.outbound == (B(),)


async def test_an_error_deep_in_nested_buses_may_be_expected() -> None:
    def again(message: A) -> A:
        return A()

    inner = Bus([again], limit=3)
    await given(Bus([Bus([inner])])).when(A()).then_raises(TurnOverflow)


async def test_another_error_was_raised_than_expected() -> None:
    with pytest.raises(
        AssertionError, match=r"KeyError was expected, but TurnFailed\(.*ValueError\('no start'\)"
    ) as caught:
        await given(counter()).when(Start()).then_raises(KeyError)
    assert isinstance(caught.value.__cause__, TurnFailed)


async def test_an_error_was_expected_and_nothing_was_raised() -> None:
    with pytest.raises(AssertionError, match=r"ValueError was expected, but nothing was raised[^$]*The journey:"):
        await given(counter()).when(A()).then_raises(ValueError)


async def test_an_error_that_was_not_expected_is_shown_with_the_journey() -> None:
    with pytest.raises(AssertionError, match=r"use then_raises to expect it[^$]*fails .* failed: ValueError") as caught:
        await given(counter()).when(Start()).then(B())
    assert isinstance(caught.value.__cause__, TurnFailed)
    with pytest.raises(AssertionError, match="use then_raises to expect it"):
        await given(counter()).when(Start()).then_left(B())


async def test_an_error_before_the_scenario_goes_through() -> None:
    with pytest.raises(TurnFailed):
        await given(counter(), Start()).when(A()).then(N(1))


async def test_failures_do_not_count_as_given_back() -> None:
    def fails(message: A) -> None:
        raise ValueError

    def helps(message: Failure) -> C:
        return C()

    await given(Bus([fails, helps])).when(A()).then(C())


async def test_what_nested_buses_keep_to_themselves_does_not_count() -> None:
    await given(Bus([counter()])).when(C()).then(B())


def test_a_scenario_of_something_else_than_a_bus_is_an_error() -> None:
    with pytest.raises(InvalidOption, match="give a bus, an aggregate, a flow, a projection or a service to test"):
        given(A())  # type: ignore[call-overload]


def test_a_scenario_without_a_message_to_send_is_an_error() -> None:
    with pytest.raises(InvalidOption, match="give the messages to send"):
        given(counter()).when()
