"""Times and long texts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from modd.texts import amount

DAY = 86_400.0


LINE_LENGTH = 80
"""Letters of a body or a reason in a list; longer texts are cut."""


def format_age(seconds: float) -> str:
    """Return an age as text: ``3 hours ago``."""
    return f"{format_span(seconds)} ago"


def format_span(seconds: float) -> str:
    """Return a span as text, in the largest unit of which there are two: ``3 hours``."""
    for unit, size in (("days", DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return amount(round(seconds), "second")


def format_time(seconds: float) -> str:
    """Return a time in seconds since 1970 as text, in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ")
    except (ValueError, OverflowError, OSError):  # a year that the calendar of Python does not have
        return f"{seconds:g} seconds after 1970"


def format_line(text: str) -> str:
    """Return a text as one line, cut if it is too long for a list."""
    line = " ".join(text.split())
    return line if len(line) <= LINE_LENGTH else f"{line[: LINE_LENGTH - 3]}..."
