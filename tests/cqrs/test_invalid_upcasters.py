"""Versions and upcasters that cannot work are found when the codec is made."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from modd import InvalidOption
from modd.cqrs import Codec, Command, Emitted, Envelope, Event
from modd.cqrs.upcasting import InvalidUpcasters


async def later(old: dict[str, Any]) -> dict[str, Any]:
    return old


class Send(Command[None]):
    schema_version: ClassVar[int] = 4


def same(old: dict[str, Any]) -> dict[str, Any]:
    return old


@pytest.mark.parametrize(
    ("upcasters", "version", "cure"),
    [
        ({}, 3, r"there are no upcasters; give Codec\(upcasters={Send: {3: function}}\).* or {} if none is"),
        ({Send: {1: same, 3: same}}, 2, "no upcaster from version 2 to 3; give it, or take out those before it"),
        ({Send: {1: same, 2: same}}, 3, "no upcaster from version 3 to 4"),
        ({Send: {3: same, 4: same}}, 4, "from version 4, and schema_version is 4; set it to 5, or take"),
        ({Send: {9: same}}, 9, "set it to 10"),
        ({Send: {}, "old": {1: same, 3: same}}, 2, "old: no upcaster from version 2 to 3"),
    ],
)
def test_upcasters_that_do_not_lead_to_the_version_are_found_when_the_codec_is_made(
    upcasters: Any, version: int, cure: str
) -> None:
    # MI-11, ST-31
    with pytest.raises(InvalidUpcasters, match=cure) as caught:
        Codec([Send], upcasters=upcasters)
    assert (caught.value.version, caught.value.name) == (version, "old" if "old" in upcasters else "Send")


@pytest.mark.parametrize(
    ("upcasters", "cure"),
    [
        (None, "give a mapping from types"),
        ({Send: [same]}, "give a mapping from types"),
        ({Send: {0: same}}, "a whole number, at least 1"),
        ({Send: {"1": same}}, "a whole number, at least 1"),
        ({Send: {True: same}}, "a whole number, at least 1"),
        ({Send: {1: "same"}}, "give functions"),
        ({Send: {1: later}}, "are not async"),
        ({Event: {1: same}}, "types that the codec has"),
        ({3: {1: same}}, "types that the codec has"),
        ({"Send": {1: same}}, "give the type"),
        ({Send: {}, "old": {}}, "at least one upcaster"),
    ],
)
def test_what_are_no_upcasters_is_an_error_when_the_codec_is_made(upcasters: Any, cure: str) -> None:
    # MI-11
    with pytest.raises(InvalidOption, match=cure):
        Codec([Send], upcasters=upcasters)


@pytest.mark.parametrize("version", [0, -1, True, "2", 2.0])
def test_a_version_is_a_whole_number_from_1(version: Any) -> None:
    # MI-11
    class Wrong(Event):
        schema_version: ClassVar[int] = version

    with pytest.raises(InvalidOption, match=r"Wrong\.schema_version=.*ClassVar\[int\] = 2"):
        Codec([Wrong])


def test_a_version_that_became_a_field_is_found() -> None:
    # MI-11
    class Wrong(Event):
        schema_version: int = 2  # type: ignore[misc]  # what is forbidden is shown

    with pytest.raises(InvalidOption, match=r"ClassVar\[int\] = 2"):
        Codec([Wrong])


def test_a_wrong_version_of_an_emitted_event_is_found_when_it_is_encoded() -> None:
    # MI-11
    class Wrong(Event):
        schema_version: ClassVar[int] = 0

    with pytest.raises(InvalidOption, match=r"Wrong\.schema_version=0"):
        Codec([Send], upcasters={Send: {}}).encode(Envelope(Send(), Emitted(Wrong())))
