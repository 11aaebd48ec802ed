"""The slots of timers against plain models, with random texts, time zones and clocks."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.app.cron_schedule import CronSchedule
from modd.app.schedules import PeriodicSchedule
from modd.app.slots import PRECISION, SET_BACK, SlotSequence
from tests.app.minutes import MinuteByMinute

pytestmark = pytest.mark.slow

Steps = list[tuple[float, float]]

IS_LONG = os.environ.get("MODD_PROFILE") == "long"
EXAMPLES = 2000 if IS_LONG else 50
CRON_EXAMPLES = 300 if IS_LONG else 15
"""Each takes a sixth of a second: a day is looked at minute by minute."""

CHANGES = [
    ("Europe/Berlin", (2026, 3, 29)),
    ("Europe/Berlin", (2026, 10, 25)),
    ("Europe/Dublin", (2026, 3, 29)),  # its winter time is the exception
    ("Australia/Lord_Howe", (2026, 4, 4)),  # by half an hour
    ("Australia/Lord_Howe", (2026, 10, 3)),
    ("America/St_Johns", (2026, 3, 8)),  # half an hour beside the others
    ("America/St_Johns", (2026, 11, 1)),
    ("America/Havana", (2026, 3, 8)),  # at midnight
    ("America/Havana", (2026, 11, 1)),
    ("Africa/Cairo", (2026, 4, 23)),
    ("Africa/Cairo", (2026, 10, 29)),
    ("Antarctica/Troll", (2026, 3, 29)),  # by two hours
    ("Antarctica/Troll", (2026, 10, 25)),
    ("Pacific/Apia", (2011, 12, 30)),  # by a day
    ("Asia/Pyongyang", (2018, 5, 4)),  # by half an hour, for good
    ("Asia/Kathmandu", (2026, 6, 1)),  # never
    ("UTC", (2026, 6, 1)),
]


def field(least: int, most: int) -> st.SearchStrategy[str]:
    """A field of a cron text: a star, a step, a list or a range."""
    number = st.integers(least, most)
    return st.one_of(
        st.just("*"),
        st.integers(2, most + 1).map(lambda step: f"*/{step}"),
        st.lists(number, min_size=1, max_size=3).map(lambda numbers: ",".join(map(str, numbers))),
        st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}"),
    )


days = st.sampled_from(["* * *", "* * *", "* * SUN", "*/2 * *", "1-15 * MON-FRI", "L * *"])
texts = st.tuples(field(0, 59), field(0, 23) | field(0, 3), days).map(" ".join)


@given(texts, st.sampled_from(CHANGES), st.integers(-1440, 1440), st.integers(10, 100))
@settings(max_examples=CRON_EXAMPLES)
def test_cron_has_the_slots_of_a_clock_that_is_looked_at_each_minute(
    text: str, change: tuple[str, tuple[int, int, int]], minutes: int, step: int
) -> None:
    # AP-24
    tz, day = change
    begin = datetime(*day, 12, tzinfo=UTC).timestamp() + minutes * 60
    end = begin + 26 * 3600
    schedule, expected = CronSchedule(text, tz), list(MinuteByMinute(text, tz).slots(begin, end))
    at, found = begin - 1, list[float]()
    while (at := schedule.following(at)) <= end:
        found.append(at)
    assert found == expected
    for until in range(int(begin), int(end), step * 3600 // 7):
        assert schedule.latest(begin - 1, until) == max((slot for slot in expected if slot <= until), default=None)


@given(st.floats(0.01, 1e6), st.floats(0, 2e9), st.lists(st.floats(0, 1e5), max_size=20))
@settings(max_examples=EXAMPLES)
def test_a_period_has_its_multiples(period: float, origin: float, steps: list[float]) -> None:
    # AP-20
    schedule, at = PeriodicSchedule(period, origin), origin
    for step in steps:
        at += step
        following = schedule.following(at)
        latest = schedule.latest(-inf, at)
        assert latest is not None and latest <= at < following
        assert following - latest == pytest.approx(period, rel=1e-6, abs=1e-6)
        assert (following - origin) / period == pytest.approx(round((following - origin) / period), abs=1e-3)


def moves() -> st.SearchStrategy[Steps]:
    """Seconds that pass, and seconds by which the clock is set then."""
    jumps = st.just(0.0) | st.floats(-SET_BACK * 2, SET_BACK * 2)
    return st.lists(st.tuples(st.floats(0, 100), jumps), min_size=1, max_size=200)


@given(st.sampled_from([10.0, 600.0, 3600.0]), moves())
@settings(max_examples=EXAMPLES)
def test_a_clock_that_is_set_repeats_no_slot_but_after_a_large_mistake_and_never_halts_the_timer(
    period: float, steps: Steps
) -> None:
    # AP-20
    clock = passed = 1e9
    sequence = SlotSequence(PeriodicSchedule(period, 0.0), lambda: clock, clock)
    for passing, jump in steps:
        assert sequence.seconds_left() <= 60.0
        clock += min(passing, max(sequence.seconds_left(), 0.0)) + jump
        if passed - clock > SET_BACK:
            passed = clock
        latest = (clock + PRECISION) // period * period
        slot = sequence.take()
        assert slot == (latest if latest > passed else None)
        passed = max(passed, latest)
