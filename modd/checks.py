"""Options of the ports, checked alike by every make."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from modd.errors import InvalidOption


def checked_name(name: Any) -> str:
    """A text that is not empty."""
    if not isinstance(name, str) or not name:
        raise InvalidOption("name", name, "give a text that is not empty")
    return name


def checked_limit(limit: Any) -> int | None:
    """A positive number, or None."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InvalidOption("limit", limit, "give the most messages of a turn, at least 1, or None for no limit")
    return limit


def checked_callable(option: str, given: Any) -> Any:
    """Something that can be called."""
    if not callable(given):
        raise InvalidOption(option, given, "give a function")
    return given


def checked_methods(option: str, given: Any, methods: Iterable[str], wanted: str) -> Any:
    """Something that has these methods, and is no type of such things."""
    if isinstance(given, type) or not all(callable(getattr(given, name, None)) for name in methods):
        raise InvalidOption(option, given, wanted)
    return given


def checked_flag(option: str, given: Any) -> None:
    """Raise `InvalidOption` unless it is True or False."""
    if not isinstance(given, bool):
        raise InvalidOption(option, given, "give True or False")


def checked_delay(option: str, given: Any) -> float:
    """Seconds, 0 or more. Raises `InvalidOption`."""
    if not (is_number(given) and 0 <= given < inf):
        raise InvalidOption(option, given, "give seconds, 0 or more")
    return float(given)


def checked_span(option: str, given: Any) -> float:
    """Seconds, more than 0. Raises `InvalidOption`."""
    if not (is_number(given) and 0 < given < inf):
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


def is_number(given: object) -> bool:
    """True if the value is a number; True and False are none."""
    return isinstance(given, (int, float)) and not isinstance(given, bool)
