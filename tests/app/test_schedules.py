"""The slots of timers, as pure functions of time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from modd.app.cron_schedule import CronSchedule
from modd.app.firing import slot_id
from modd.app.schedules import PeriodicSchedule
from tests.app.clocks import seconds
from tests.app.minutes import MinuteByMinute

CHANGES = [
    ("Europe/Berlin", "2026-03-29T00:00:00", "2026-03-29T03:00:00"),
    ("Europe/Berlin", "2026-10-24T23:00:00", "2026-10-25T02:30:00"),
    ("Australia/Lord_Howe", "2026-10-03T14:30:00", "2026-10-03T17:30:00"),
    ("Australia/Lord_Howe", "2026-04-04T14:00:00", "2026-04-04T16:00:00"),
    ("America/Havana", "2026-03-08T03:30:00", "2026-03-08T06:30:00"),
    ("America/Havana", "2026-11-01T03:30:00", "2026-11-01T06:30:00"),
]
"""Time zones, and spans around a change of their clocks: by an hour, by half an hour, and at midnight."""


def slots(schedule: CronSchedule, begin: float, end: float) -> list[float]:
    """The slots of a schedule from a time to another, both included."""
    found = [schedule.following(begin - 1)]
    while found[-1] <= end:
        found.append(schedule.following(found[-1]))
    return found[:-1]


def times(schedule: CronSchedule, begin: str, count: int, tz: str) -> list[str]:
    """Day, hour and minute of so many slots after a time, by the clocks of a time zone."""
    found, at = [], seconds(begin)
    for _ in range(count):
        at = schedule.following(at)
        found.append(f"{datetime.fromtimestamp(at, ZoneInfo(tz)):%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("text", "begin", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00", ["29 03:00", "30 02:30"]),
        ("0,30 2,3 * * *", "2026-03-28T12:00", ["29 03:00", "29 03:30", "30 02:00"]),
        ("30 2 * * *", "2026-10-24T12:00", ["25 02:30", "26 02:30"]),
        ("0,30 2 * * *", "2026-10-24T12:00", ["25 02:00", "25 02:30", "26 02:00"]),
        ("*/30 2 * * *", "2026-03-28T12:00", ["30 02:00"]),
        ("30 * * * *", "2026-10-24T22:50", ["25 01:30", "25 02:30", "25 02:30", "25 03:30"]),
        ("*/30 2 * * *", "2026-10-24T22:50", ["25 02:00", "25 02:30", "25 02:00", "25 02:30", "26 02:00"]),
        ("0 5 * * *", "2026-10-25T01:10", ["25 05:00"]),
        ("0 9 1 * MON", "2026-06-28T00:00", ["29 09:00", "01 09:00", "06 09:00"]),  # one of the two days is enough
        ("45 2 * * *", "2026-10-25T01:30", ["26 02:45"]),  # 2:30 for the second time, and 2:45 was before
    ],
)
def test_slots_go_through_a_change_of_the_clocks(text: str, begin: str, expected: list[str]) -> None:
    # AP-24
    assert times(CronSchedule(text, "Europe/Berlin"), begin, len(expected), "Europe/Berlin") == expected


@pytest.mark.costly
@pytest.mark.parametrize(("tz", "begin", "end"), CHANGES)
@pytest.mark.parametrize("text", ["*/10 * * * *", "0,30 0-3 * * *"])
def test_slots_are_those_of_a_clock_that_is_looked_at_each_minute(tz: str, begin: str, end: str, text: str) -> None:
    # AP-24
    found = slots(CronSchedule(text, tz), seconds(begin), seconds(end))
    assert found == list(MinuteByMinute(text, tz).slots(seconds(begin), seconds(end)))


@pytest.mark.parametrize("text", ["* * * * *", "0 * * * *", "30 5 * * *", "0 0 1 1 *"])
def test_the_latest_slot_is_the_last_one_of_a_span_of_time(text: str) -> None:
    # AP-23
    schedule, until = CronSchedule(text, "UTC"), seconds("2026-01-02T12:30:30")
    found = slots(schedule, until - 2 * 86_400, until)
    assert schedule.latest(until - 2 * 86_400, until) == found[-1]
    assert schedule.latest(found[-1], until) is None
    assert schedule.latest(until, until - 1) is None


@pytest.mark.parametrize("origin", [0.0, 0.3, 1_764_000_000.7])
@pytest.mark.parametrize("period", [0.1, 1 / 3, 7.0, 86_400.0])
def test_each_slot_of_a_period_follows_the_one_before_and_is_the_latest_at_its_time(
    origin: float, period: float
) -> None:
    # AP-20
    schedule, slot = PeriodicSchedule(period, origin), origin
    for number in range(1, 500):
        following = schedule.following(slot)
        assert following == origin + number * period
        assert schedule.latest(slot, following) == following
        assert schedule.latest(following, following + period / 2) is None
        slot = following


@pytest.mark.parametrize(
    ("slot", "text"),
    [
        (0.0, "timer/x/1970-01-01T00:00:00Z"),
        (1_795_842_000.0, "timer/x/2026-11-28T05:00:00Z"),
        (1_795_842_000.1, "timer/x/2026-11-28T05:00:00.100000Z"),
    ],
)
def test_the_id_of_a_slot_has_the_name_of_the_timer_and_the_time(slot: float, text: str) -> None:
    # AP-22
    assert slot_id("x", slot) == text
