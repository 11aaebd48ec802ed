"""Ids that cost almost nothing until somebody reads them (MI-9)."""

from __future__ import annotations

from itertools import count
from os import getpid
from secrets import randbits


class Ids:
    """Makes time-ordered ids (UUIDs of version 7): a number when one is needed, a text when one is read.

    The text holds the time to a quarter of a microsecond, the number, and what tells this source from all others:
    chance, and the process, so that a fork makes no id twice.
    """

    def __init__(self) -> None:
        self.next = count().__next__
        """The number of the next id."""
        self._chance = randbits(30)

    def text(self, number: int, at: float) -> str:
        """The id of this number, made at this time (seconds since 1970)."""
        source = (self._chance ^ (getpid() * 0x9E3779B1)) & 0x3FFFFFFF
        quarters = int(at * 4_096_000)
        time, fraction = quarters >> 12 & 0xFFFFFFFFFFFF, quarters & 0xFFF
        digits = f"{time:012x}7{fraction:03x}{2 << 62 | (number & 0xFFFFFFFF) << 30 | source:016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def qualify(bus: str, text: str) -> str:
    """Return a text behind the name of a bus, ``commands:user-1``, which no bus of another name can produce."""
    escaped = bus.replace("%", "%25").replace(":", "%3A") if ":" in bus or "%" in bus else bus
    return f"{escaped}:{text}"
