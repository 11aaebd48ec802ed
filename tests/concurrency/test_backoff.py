"""Delays between attempts."""

from __future__ import annotations

from itertools import islice
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modd import InvalidOption
from modd.concurrency.backoff import LONGEST_DELAY, DoublingPause, delays

fractions = st.floats(0, 1, exclude_max=True)


def first(number: int, *args: Any, **options: Any) -> list[float]:
    return [*islice(delays(*args, **options), number)]


# MI-36, MI-37
@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("exponential", [0.5, 0.75, 1.125]),
        ("fibonacci", [1, 2, 3, 5, 8]),
        ("none", [0, 0, 0]),
    ],
)
def test_the_delays_of_each_kind(backoff: str, expected: list[float]) -> None:
    assert first(len(expected), backoff, jitter=0) == expected


# MI-37
def test_the_multiplier_is_that_of_exponential() -> None:
    assert first(4, "exponential", 2, 0) == [0.5, 1, 2, 4]
    assert first(3, "exponential", 1, 0) == [0.5, 0.5, 0.5]
    assert first(3, "exponential", 0, 0) == [0.5, 0, 0]
    assert first(3, "fibonacci", 7, 0) == [1, 2, 3]


# MI-37
@pytest.mark.parametrize(("number", "expected"), [(0.0, [0.25, 0.375]), (0.5, [0.5, 0.75]), (0.75, [0.625, 0.9375])])
def test_jitter_spreads_a_delay_evenly(number: float, expected: list[float]) -> None:
    assert first(2, random=lambda: number) == expected


# MI-37
@given(fractions, st.floats(0, 1), st.sampled_from(["exponential", "fibonacci", "none"]))
def test_jitter_stays_within_its_share(number: float, jitter: float, backoff: str) -> None:
    spread = first(9, backoff, jitter=jitter, random=lambda: number)
    for plain, delay in zip(first(9, backoff, jitter=0), spread, strict=True):
        assert plain * (1 - jitter) <= delay * (1 + 1e-9) and delay <= plain * (1 + jitter) * (1 + 1e-9)


# MI-37
def test_jitter_is_random_unless_told_otherwise() -> None:
    assert len({*first(20, "exponential", 1)}) > 1


@pytest.mark.parametrize("backoff", ["exponential", "fibonacci"])
def test_delays_stay_numbers_that_can_be_slept_for(backoff: str) -> None:
    late = first(2000, backoff, jitter=1, random=lambda: 0.0)[-1]
    assert late == 0
    assert max(first(2000, backoff, jitter=0)) == LONGEST_DELAY


def test_a_pause_doubles_up_to_the_longest_until_it_is_reset() -> None:
    pause = DoublingPause(0.1, 0.5)
    assert [pause.next() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    pause.reset()
    assert pause.next() == 0.1


@pytest.mark.anyio
async def test_a_pause_that_has_begun_ends_by_the_clock_of_the_loop() -> None:
    pause = DoublingPause(1000, 1500)
    assert pause.left() == 0
    assert pause.begin() == 1000 and 900 < pause.left() <= 1000
    assert pause.begin() == 1500 and 1400 < pause.left() <= 1500
    pause.reset()
    assert pause.left() == 0 and pause.next() == 1000


@pytest.mark.parametrize(
    "options",
    [
        {"backoff": "linear"},
        {"backoff": None},
        {"backoff": []},
        {"multiplier": -1},
        {"multiplier": nan},
        {"multiplier": inf},
        {"multiplier": True},
        {"multiplier": "2"},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": nan},
        {"jitter": False},
    ],
)
def test_wrong_values_fail_before_anything_is_tried(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(options))) as caught:
        delays(**options)
    assert caught.value.option == next(iter(options))
