"""A plain model of cron: it looks at the clock on the wall each minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim


class MinuteByMinute:
    """The slots of a cron text in a time zone."""

    def __init__(self, text: str, tz: str) -> None:
        self.zone = ZoneInfo(tz)
        self.names_times = not any(field.startswith("*") for field in text.split()[:2])
        self._fields = CronSim(text, datetime(2000, 1, 1))

    def slots(self, begin: float, end: float) -> Iterator[float]:
        """Yield the slots from a whole minute to another, both included."""
        latest = self._wall_time(begin - 60)
        for moment in range(int(begin), int(end) + 1, 60):
            shown = self._wall_time(moment)
            if not self.names_times:
                is_due = self._matches(shown)
            else:  # each time that the clock has reached or jumped over, and none twice
                minutes = int((shown - latest).total_seconds() // 60)
                is_due = any(self._matches(latest + timedelta(minutes=each + 1)) for each in range(minutes))
                latest = max(latest, shown)
            if is_due:
                yield float(moment)

    def _wall_time(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, self.zone).replace(tzinfo=None, fold=0)

    def _matches(self, time: datetime) -> bool:
        fields = self._fields
        in_day = time.minute in fields.minutes and time.hour in fields.hours
        return in_day and time.month in fields.months and fields.match_day(time.date())
