"""The log, page by page, for all tracks that stand at one position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from modd.cqrs.wire import name_in
from modd.follower.track import LoggedEvent
from modd.ports.events import EventStore, PositionedBody
from modd.ports.tagged import TYPE_HEADER

FIRST_READ, LARGEST_READ, GROWTH = 256, 4096, 4
"""Events of a read near the end of the log, and at most; the factor from one full read to the next."""


class LogPage(msgspec.Struct, frozen=True):
    """Some events of the log, in order.

    events: the events. end: the position of the last one. is_last: True if there was none behind them.
    """

    events: list[LoggedEvent]
    end: int
    is_last: bool


class LogReader:
    """Reads the log, more at a time while there is more, and deals it out in pages.

    Events are only ever added, so that events that were read ahead stay valid.

    events: the log. batch: most events of a page; None for all that were read at a time.
    """

    def __init__(self, events: EventStore, batch: int | None) -> None:
        self._events, self._batch = events, batch
        self._first = FIRST_READ if batch is None else batch
        self._limit, self._page_size = self._first, batch or LARGEST_READ
        self._ahead: Iterator[LoggedEvent] = iter(())
        """The events behind the last page, as far as they are read."""
        self._end = 0
        """The end of the last page."""

    async def page(self, after: int) -> LogPage:
        """Return the first events behind a position."""
        events, is_last = self._read_ahead(after), False
        if not events:
            limit = self._limit
            read = logged(await self._events.page(after, limit))
            is_full = len(read) == limit
            self._limit = min(limit * GROWTH, max(self._first, LARGEST_READ)) if is_full else self._first
            self._ahead = iter(read)
            events, is_last = self._next(), len(read) <= self._page_size and not is_full
        self._end = events[-1].position if events else after
        return LogPage(events, self._end, is_last)

    async def event(self, position: int) -> LoggedEvent:
        """Return the event at a position. Raises `LookupError` if there is none."""
        events = logged(await self._events.page(position - 1, 1))
        if not events:
            raise LookupError(f"the log has no event at position {position}")
        return events[0]

    def _read_ahead(self, after: int) -> list[LoggedEvent]:
        """Return the next page of what is read already; nothing for a track at a different position."""
        if after == self._end:
            return self._next()
        if self._batch is not None:  # tracks at two positions in turn would drop what the other one has read
            self._limit = self._first
        return []

    def _next(self) -> list[LoggedEvent]:
        return [*islice(self._ahead, self._page_size)]


def logged(rows: Iterable[PositionedBody]) -> list[LoggedEvent]:
    """Return events with their types."""
    return [LoggedEvent(position, type_of(body, headers), body, headers) for position, body, headers in rows]


def type_of(body: bytes, headers: dict[str, str]) -> str:
    """Return the name of an event's type on the wire; an empty text if its bytes do not tell."""
    name = headers.get(TYPE_HEADER)
    return name_in(body) if name is None else name
