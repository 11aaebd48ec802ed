"""The lines in which the dispatches of one event loop wait for locks, first come, first served.

A store of locks only says "locked" or "free", so a dispatch that waits has to ask again. If every dispatch asked on its
own, the lock would go to the one that asks first after the release, and the rest could wait for ever. Therefore only
the first in the line of a key asks the store; when it is done, it wakes the next one, which asks at once.

A line has the event loop in its key and ends with its last dispatch, so nothing outlives the loop.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import current_token

from modd.ports.locks import Locks

Line: TypeAlias = OrderedDict[object, anyio.Event]
"""The places in a line, each with the event that is set when it is the first."""


class LockLines:
    """The lines of one store of locks, by key; every `Lock` on that store uses the same lines."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, Line] = {}

    async def enter(self, key: str, place: object, deadline: float) -> bool:
        """Wait until a place is the first in the line of a key; False if it is not at the deadline.

        In both cases, and after a cancellation, call `leave`.
        """
        line = self._lines.setdefault((current_token(), key), OrderedDict())
        event = line[place] = anyio.Event()
        if len(line) == 1:
            event.set()
        with anyio.move_on_at(deadline):
            await event.wait()
        return event.is_set()

    def leave(self, key: str, place: object) -> None:
        """Give up a place in the line of a key, if it has one; wake the next one if it was the first."""
        name = (current_token(), key)
        line: Line = self._lines.get(name, OrderedDict())
        if line.pop(place, None) is None:
            return
        if line:
            next(iter(line.values())).set()
        else:
            del self._lines[name]

    def __len__(self) -> int:
        return len(self._lines)


_lines: WeakKeyDictionary[Any, LockLines] = WeakKeyDictionary()


def lines_of(locks: Locks) -> LockLines:
    """Return the lines of a store of locks; lines of their own for a store that cannot be referred to weakly."""
    try:
        return _lines.setdefault(locks, LockLines())
    except TypeError:
        return LockLines()
