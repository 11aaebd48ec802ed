"""Options of the ports, checked alike by every make."""

from __future__ import annotations

from math import inf
from typing import Any

from modd.errors import InvalidOption


def checked_delay(option: str, given: Any) -> float:
    """Seconds, 0 or more. Raises `InvalidOption`."""
    if not (_is_number(given) and 0 <= given < inf):
        raise InvalidOption(option, given, "give seconds, 0 or more")
    return float(given)


def checked_span(option: str, given: Any) -> float:
    """Seconds, more than 0. Raises `InvalidOption`."""
    if not (_is_number(given) and 0 < given < inf):
        raise InvalidOption(option, given, "give seconds, more than 0")
    return float(given)


def checked_count(option: str, given: Any) -> int:
    """A whole number, at least 1. Raises `InvalidOption`."""
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise InvalidOption(option, given, "give a whole number, at least 1")
    return given


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool)
