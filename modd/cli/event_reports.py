"""The results of ``events``: the streams of a file, the events of a stream, and those that a search has found."""

from __future__ import annotations

from typing import Any

import msgspec

from modd.cli.reports import Content


class StreamSummary(msgspec.Struct, frozen=True):
    """A stream in a list.

    name: its name. events: the number of its events.
    position, at: the position of its last event in the file, and the time of that, in seconds since 1970.
    """

    name: str
    events: int
    position: int
    at: float


class StreamList(msgspec.Struct, frozen=True):
    """Streams of a file, in the order of their names.

    events: the number of events in the whole file.
    after: the name after which the list goes on; None at its end.
    """

    path: str
    events: int
    streams: list[StreamSummary]
    after: str | None


class EventDetails(msgspec.Struct, frozen=True):
    """An event of a stream.

    revision: its number in the stream. position: its number in the file. at: the time, in seconds since 1970.
    actor: the id of the actor of its command; None without one.
    headers: further headers, with values masked unless they are shown raw.
    state: the state after it, without sensitive fields; None unless an aggregate is given.
    note: the reason for which the state is not shown.
    """

    revision: int
    position: int
    at: float
    actor: str | None
    headers: dict[str, str]
    content: Content
    state: Any = None
    note: str = ""


class EventList(msgspec.Struct, frozen=True):
    """Events of a stream, in their order.

    aggregate: the name of the aggregate that makes the states; None without one.
    total: the number of events in the stream.
    after: the revision after which the list goes on; None at its end.
    """

    stream: str
    aggregate: str | None
    total: int
    events: list[EventDetails]
    after: int | None


class FoundEvent(msgspec.Struct, frozen=True):
    """An event that a search has found, with the name of its stream."""

    stream: str
    event: EventDetails


class FoundEvents(msgspec.Struct, frozen=True):
    """Events of all streams that a search has found, in the order of their positions.

    correlation: the correlation id of all of them; None for the event at a position.
    after: the position after which the search goes on; None at its end.
    """

    correlation: str | None
    events: list[FoundEvent]
    after: int | None
