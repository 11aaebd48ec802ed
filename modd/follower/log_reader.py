"""The log, page by page, for all tracks that stand at one position."""

from __future__ import annotations

import msgspec

from modd.cqrs.wire import name_in
from modd.follower.track import LoggedEvent
from modd.ports.events import EventStore
from modd.ports.tagged import TYPE_HEADER

FIRST_PAGE, LARGEST_PAGE, GROWTH = 256, 4096, 4
"""Events of a page near the end of the log, and at most; the factor from one full page to the next."""


class LogPage(msgspec.Struct, frozen=True):
    """Some events of the log, in order.

    events: the events. end: the position of the last one. is_last: True if there was none behind them.
    """

    events: list[LoggedEvent]
    end: int
    is_last: bool


class LogReader:
    """Reads pages of the log, larger ones while they are full.

    events: the log. batch: events of a page; None to have it grow.
    """

    def __init__(self, events: EventStore, batch: int | None) -> None:
        self._events, self._batch = events, batch
        self._limit = FIRST_PAGE if batch is None else batch

    async def page(self, after: int) -> LogPage:
        """Return the first events behind a position."""
        limit = self._limit
        rows = await self._events.page(after, limit)
        is_full = len(rows) == limit
        if self._batch is None:
            self._limit = min(limit * GROWTH, LARGEST_PAGE) if is_full else FIRST_PAGE
        events = [LoggedEvent(position, type_of(body, headers), body, headers) for position, body, headers in rows]
        return LogPage(events, events[-1].position if events else after, not is_full)

    async def event(self, position: int) -> LoggedEvent:
        """Return the event at a position. Raises `LookupError` if there is none."""
        rows = await self._events.page(position - 1, 1)
        if not rows:
            raise LookupError(f"the log has no event at position {position}")
        [(_, body, headers)] = rows
        return LoggedEvent(position, type_of(body, headers), body, headers)


def type_of(body: bytes, headers: dict[str, str]) -> str:
    """Return the name of an event's type on the wire; an empty text if its bytes do not tell."""
    name = headers.get(TYPE_HEADER)
    return name_in(body) if name is None else name
