"""A clock of the system for tests: it passes with the clock of the loop, and can be set."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio


def seconds(text: str) -> float:
    """The seconds since 1970 of a time in UTC, or with an offset."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class SystemClock:
    """Seconds since 1970, from a time on that is the present one."""

    def __init__(self, begin: str) -> None:
        self._offset = seconds(begin) - anyio.current_time()

    def __call__(self) -> float:
        """Return the time."""
        return anyio.current_time() + self._offset

    def set(self, text: str) -> None:
        """Set the clock to another time."""
        self._offset = seconds(text) - anyio.current_time()

    @property
    def text(self) -> str:
        """Day, hour, minute and second of the present time, in UTC."""
        return f"{datetime.fromtimestamp(round(self(), 3), UTC):%d %H:%M:%S}"
