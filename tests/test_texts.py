"""Texts of errors and reports."""

from __future__ import annotations

import pytest

from modd import Bus, TurnFailed
from modd.journey import Journey
from modd.texts import amount
from tests.names import B


def again(message: B) -> B:
    return B()


# DR-67
@pytest.mark.parametrize(("number", "text"), [(0, "0 items"), (1, "1 item"), (2, "2 items"), (2000, "2_000 items")])
def test_a_number_has_its_noun_in_the_singular_or_the_plural(number: int, text: str) -> None:
    assert amount(number, "item") == text
    assert amount(number, "item", "data").endswith(" item" if number == 1 else " data")


# DR-67
@pytest.mark.anyio
async def test_texts_about_one_message_speak_of_one() -> None:
    bus = Bus([again], limit=1)
    with Journey(bus) as journey, pytest.raises(TurnFailed) as caught:
        await bus(B())
    assert "1 failure in" in str(caught.value)
    assert "more than 1 message in a turn" in str(caught.value.exceptions[0])
    assert repr(journey) == "<Journey in bus: 1 delivery>"
