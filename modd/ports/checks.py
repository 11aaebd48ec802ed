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


def check_headers(given: Any) -> None:
    """Raise `InvalidOption` unless they are texts by texts; it names the types alone, as what is in them is for nobody.

    What is no text would be found out by the one who claims it, and stand in the way of all others.
    """
    if not isinstance(given, dict):
        raise InvalidOption("headers", type(given), "give a dict of texts")
    for name, value in given.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise InvalidOption("headers", {type(name): type(value)}, "give texts for names and values")


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool)
