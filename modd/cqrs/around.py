"""Whom a handler asks: the outermost bus around (MO-27)."""

from __future__ import annotations

from typing import Any

from modd.asking import Asking
from modd.component import Part
from modd.turn import innermost, open_turns


def top_of(part: Part) -> Any:
    """The outermost bus that the part is in, of several one that is in a turn now; without any, the part itself."""
    tops = [each for each in _around(part) if isinstance(each, Asking) and not any(_buses(each))]
    busy = [turn.bus for turn in open_turns(innermost()) if turn.bus in tops]
    return next(iter([*busy, *tops]), part)


def _buses(part: Part) -> list[Part]:
    return [each for each in _around(part) if isinstance(each, Asking)]


def _around(part: Part) -> list[Part]:
    """All parts around, each once."""
    found: dict[Part, None] = {}
    ways = [*part.around]
    while ways:
        each = ways.pop()
        if each not in found:
            found[each] = None
            ways += each.around
    return [*found]
