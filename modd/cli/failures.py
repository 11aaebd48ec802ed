"""The words for a failure of an app: its cause, and the place in the program that a misuse is at."""

from __future__ import annotations

from traceback import walk_tb

from modd.app import PortTaken
from modd.errors import InvalidOption, MissingExtra
from modd.texts import errors_in, text_of

CURED = (InvalidOption, MissingExtra, PortTaken)
"""Errors whose text has the cure; a traceback would hide it."""

LIBRARIES = frozenset({"modd", "anyio", "asyncio", "trio", "contextlib", "importlib", "_frozen_importlib"})
"""Packages whose lines are not the place of a misuse."""


def has_cure(error: BaseException) -> bool:
    """Return True if the text of an error has the cure, for a group that of each error in it."""
    return all(isinstance(each, CURED) for each in _causes(error))


def cause_words(error: BaseException) -> str:
    """Return type and text of an error, for a group of the first error in it; the place, if it was a misuse."""
    first, *others = _causes(error)
    place = _place_of(first) if isinstance(first, CURED) else ""
    return text_of(first) + place + (f" (and {len(others)} more)" if others else "")


def _causes(error: BaseException) -> list[BaseException]:
    return [each for each in errors_in(error) if not isinstance(each, BaseExceptionGroup)]


def _place_of(error: BaseException) -> str:
    """Return the last line of the program that an error came through, as a text; empty if there is none."""
    places = [
        f" ({frame.f_code.co_filename}:{line})"
        for frame, line in walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in LIBRARIES
    ]
    return places[-1] if places else ""
