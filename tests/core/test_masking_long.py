"""Long values in messages: masking a short text does not make texts of them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from modd import Message, Sensitive
from modd.core import mask_secrets, mask_values
from tests.steps import calls_of


class Secret(Message):
    content: Annotated[Any, Sensitive]


class Watched(str):
    """A text that refuses to make its repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise AssertionError("made for nothing")


LONG = Watched("a" * 1000)


# DR-4
@pytest.mark.parametrize("content", [LONG, [LONG], (LONG, "word"), {"key": LONG}])
def test_of_a_value_longer_than_the_text_no_repr_is_made(content: Any) -> None:
    assert mask_secrets("a short text", Secret(content)) == "a short text"
    assert mask_values("a short text", content) == "a short text"


# DR-4
def test_what_the_text_may_have_in_it_is_masked_all_the_same() -> None:
    assert mask_secrets("no secret here", Secret(["secret", LONG])) == "no *** here"
    assert mask_secrets("no secret here", Secret(" " * 100 + "secret ")) == "no *** here"
    assert mask_secrets("no secret here", Secret([b"secret", b"x" * 1000])) == "no *** here"
    assert mask_secrets("[1234, 5678]", Secret([1234, 5678])) == "***"


# DR-55
@pytest.mark.parametrize("kind", [list, tuple])
def test_many_plain_values_are_masked_as_each_alone(kind: type[Any]) -> None:
    values = [1234, 5.25, "word", " spaced ", "two words", "line\nbreak", 'quo"te', "quo'te", True, None, ""]
    text = "1234, 5.25, word, spaced, two words, line\\nbreak, quo\"te, quo'te, True, None"
    masked = mask_secrets(text, Secret(kind(values)))
    assert masked == mask_secrets(text, Secret([*map(_alone, values)]))
    assert masked == f"{'***, ' * 8}True, None"


# DR-55
def test_values_that_are_not_sensitive_are_passed_over_at_once() -> None:
    class Order(Message):
        numbers: list[int]
        card: Annotated[str, Sensitive]

    def calls(count: int) -> int:
        order = Order([*range(count)], "4711")
        return calls_of(lambda: mask_secrets("no 4711 at 17", order))

    assert mask_secrets("no 4711 at 17", Order([17], "4711")) == "no *** at 17"
    assert calls(10_000) == calls(10)


# DR-55
def test_a_text_is_made_of_each_sensitive_value_and_none_of_all_together() -> None:
    def calls(count: int) -> int:
        return calls_of(lambda: mask_secrets("a short text", Secret([*range(count)])))

    assert calls(10_000) - calls(100) < 5 * 9_900
    assert mask_secrets("[1, 2]", Secret([1, 2])) == "***"


def _alone(value: Any) -> Any:
    """The value in a field of its own."""
    return Secret(value)
