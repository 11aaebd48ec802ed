"""The slots of a cron text in a time zone, through each change of its clocks. It needs cronsim."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from math import inf
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from modd.errors import InvalidOption

MINUTE = timedelta(minutes=1)


LONGEST_STEPS = {"minute": 60, "hour": 24, "day of the month": 31, "month": 12, "day of the week": 7}
"""The longest step of each field."""


SET_BACK = timedelta(hours=3)
"""The most by which the clocks of a time zone are set back."""


STEP = re.compile(r"/(\d+)")


LOOKBACKS = (60.0, 3600.0)
"""Seconds before the end of a span in which its last slot is looked for first, because a long span may have many."""


class CronSchedule:
    """The slots of a cron text with five fields, as cronsim reads them: minute, hour, day, month, day of the week.

    text: the cron text, such as ``"30 5 * * MON-FRI"``.
    tz: the name of the time zone that the fields refer to.

    If the fields of minute and hour both name times, as in ``30 2 * * *``, a time that does not exist, because clocks
    are set forward over it, becomes the next time that exists, and a time that exists twice is one slot. If one of the
    two begins with ``*``, each hour that passes has its slots: an hour that is left out has none, and an hour that is
    repeated has them twice.

    Raises:
        InvalidOption: the text cannot be read, or the time zone is unknown.
    """

    def __init__(self, text: str, tz: str) -> None:
        self._zone, self._text = _zone_of(tz), _checked_cron(text)
        minute, hour, *_ = text.split()
        self._names_times = not (minute.startswith("*") or hour.startswith("*"))

    def following(self, at: float) -> float:
        """Return the first slot after a time in seconds since 1970; infinity if there is none."""
        local = datetime.fromtimestamp(at, self._zone)
        if self._names_times or not self._is_near_change(at):
            return self._first(local, 0, at)
        return min(self._first(local - SET_BACK, fold, at) for fold in (0, 1))

    def latest(self, after: float, until: float) -> float | None:
        """Return the last slot that is later than ``after`` and not later than ``until``; None if there is none."""
        for start in (*(until - seconds for seconds in LOOKBACKS), after):
            found, slot = None, self.following(max(start, after))
            while slot <= until:
                found, slot = slot, self.following(slot)
            if found is not None:
                return found
        return None

    def _is_near_change(self, at: float) -> bool:
        moment = datetime.fromtimestamp(at, UTC)
        before, after = ((moment + span).astimezone(self._zone) for span in (-SET_BACK, SET_BACK))
        return before.utcoffset() != after.utcoffset()

    def _first(self, start: datetime, fold: int, at: float) -> float:
        """Return the first slot after ``at`` whose time of day, at its first or second coming, is after ``start``."""
        moments = (self._moment(wall_time, fold) for wall_time in self._wall_times(start))
        return next((moment for moment in moments if moment > at), inf)

    def _wall_times(self, start: datetime) -> Iterator[datetime]:
        """Return the times that a clock on the wall shows at the slots."""
        named = iter(CronSim(self._text, start.replace(tzinfo=None, fold=0)))
        return map(self._next_that_exists, named) if self._names_times else filter(self._exists, named)

    def _next_that_exists(self, wall_time: datetime) -> datetime:
        while not self._exists(wall_time):
            wall_time += MINUTE
        return wall_time

    def _exists(self, wall_time: datetime) -> bool:
        there = datetime.fromtimestamp(self._moment(wall_time, 0), self._zone)
        return there.replace(tzinfo=None, fold=0) == wall_time

    def _moment(self, wall_time: datetime, fold: int) -> float:
        return wall_time.replace(tzinfo=self._zone, fold=fold).timestamp()


def _checked_cron(text: str) -> str:
    """Return a cron text with five fields."""
    cure = 'give five fields, such as "30 5 * * MON-FRI": minute, hour, day, month, day of the week'
    if not isinstance(text, str) or len(text.split()) != 5:
        raise InvalidOption("text", text, cure)
    try:
        CronSim(text, datetime(2000, 1, 1))
    except CronSimError as error:
        raise InvalidOption("text", text, f"{cure}; here: {error}") from error
    _check_steps(text)
    return text


def _check_steps(text: str) -> None:
    """Raise `InvalidOption` for a step such as ``*/90`` in the minutes, which would fire each hour."""
    for field, (name, longest) in zip(text.split(), LONGEST_STEPS.items(), strict=True):
        for step in STEP.findall(field):
            if int(step) > longest:
                cure = f"a step of the {name} is at most {longest}, as each field begins anew; for a period use every()"
                raise InvalidOption("text", text, cure)


def _zone_of(tz: str) -> tzinfo:
    if tz == "UTC":
        return UTC  # known also where there is no data of time zones
    try:
        return ZoneInfo(tz)
    except (LookupError, OSError, TypeError, ValueError, AttributeError) as error:
        cure = f'give the name of a time zone, such as "Europe/Berlin"{_hint_of(tz)}'
        raise InvalidOption("tz", tz, cure) from error


def _hint_of(tz: Any) -> str:
    """Return the end of a sentence about an unknown zone: the zone of this city, or else one that is spelled alike."""
    known = sorted(available_timezones())
    if not known:
        return "; this system knows none but UTC: pip install tzdata"
    city = _city_of(str(tz))
    near = [each for each in known if _city_of(each) == city] or get_close_matches(str(tz), known, 1, 0.8)
    return f"; did you mean {near[0]}?" if near else ""


def _city_of(tz: str) -> str:
    return tz.rpartition("/")[2].replace(" ", "_").casefold()
