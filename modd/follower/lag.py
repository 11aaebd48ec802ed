"""The lag of a part: the distance from its position to the end of the log."""

from __future__ import annotations

import msgspec

from modd.ports.storage import Storage


class Lag(msgspec.Struct, frozen=True):
    """The distance of a flow or a projection to the end of the log.

    events: number of events that it has not passed yet. seconds: the age of the first of these; 0.0 if there is none.
    reason: type and text of the error for which it stands there, or cannot be opened; empty if it gets on.
    """

    events: int
    seconds: float
    reason: str = ""


async def lag_at(store: Storage, position: int, reason: str = "") -> Lag:
    """Return the lag of a part that stands at a position."""
    last = await store.events.last()
    if last <= position:
        return Lag(0, 0.0, reason)
    first = await anext(store.events.read_all(position))
    return Lag(last - position, max(0.0, store.clock() - first.at), reason)
