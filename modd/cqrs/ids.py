"""Ids: numbers until they are read, which costs almost nothing, and UUIDs then."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from os import getpid
from secrets import randbits
from typing import Any, TypeAlias

from modd.checks import checked_callable
from modd.errors import InvalidOption


class Ids:
    """A source of time-ordered ids (UUIDs of version 7): a number when an id is needed, a text when it is read.

    The text holds the time to a quarter of a microsecond, a random part of the source with the process, so that a fork
    makes no id twice, and the number.
    """

    def __init__(self) -> None:
        self.next = count().__next__
        """Returns the number of the next id."""
        self._random = randbits(30)
        self._source = 0, ""
        """The process, and the part of its ids that is always the same."""

    def text(self, number: int, at: float) -> str:
        """Return the id of a number and of the time at which it was drawn, in seconds since 1970."""
        process, source = self._source
        if process != (here := getpid()):
            part = 2 << 30 | (self._random ^ (here * 0x9E3779B1)) & 0x3FFFFFFF
            source = f"{part >> 16:04x}-{part & 0xFFFF:04x}"
            self._source = here, source
        quarters = int(at * 4_096_000) & 0xFFFFFFFFFFFFFFF
        time = f"{quarters:015x}"  # 12 digits of milliseconds, and 3 of their fraction
        return f"{time[:8]}-{time[8:12]}-7{time[12:]}-{source}{number & 0xFFFFFFFF:08x}"


LazyId: TypeAlias = tuple[Ids, int, float] | str
"""An id as text, or the source, number and time that the text is made from when it is read."""


def read_id(id: LazyId) -> str:
    """Return the text of an id."""
    if isinstance(id, str):
        return id
    source, number, at = id
    return source.text(number, at)


def checked_ids(new_id: Any) -> Callable[[], str]:
    """Return the function with a check of each id that it returns. Raises `InvalidOption`."""
    checked_callable("new_id", new_id)

    def make_id() -> str:
        id = new_id()
        if not (isinstance(id, str) and id):
            raise InvalidOption("new_id", id, "give a function that returns a text that is not empty")
        return id

    return make_id


def qualify(bus: str, text: str) -> str:
    """Return a text behind the name of a bus, ``commands:user-1``, which no bus of another name can produce."""
    return f"{escape(bus, ':')}:{text}"


def item_id(bus: str, id: str) -> str:
    """Return the id of the queue item of an envelope: ``commands:import-7``. It has no ``/``: rows of handlers do."""
    return f"{escape(bus, ':/')}:{escape(id, '/')}"


def unescape(text: str) -> str:
    """Return the text that `escape` was given."""
    return re.sub("%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)


def escape(text: str, separators: str) -> str:
    """Return a text without these characters, so that texts can be joined by one; different texts stay different."""
    for each in f"%{separators}":
        if each in text:
            text = text.replace(each, f"%{ord(each):02X}")
    return text
