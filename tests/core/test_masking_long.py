"""Long values in messages: masking a short text does not make texts of them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from modd import Message, Sensitive
from modd.core import mask_secrets, mask_values


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
