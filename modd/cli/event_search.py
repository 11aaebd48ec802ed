"""The search for events in all streams of a file: by position, and by the correlation id of a journey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from modd.aggregate.event_codec import CORRELATION
from modd.cli.errors import NoSuchEvent
from modd.cli.event_content import EventViewer
from modd.cli.event_reports import EventDetails, FoundEvent, FoundEvents
from modd.cli.inspection import Inspector
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.event_appends import LAST_POSITION
from modd.stores.sqlite.sql import decode_headers

EVENT = "SELECT stream, revision, position, at, headers, body FROM modd_events WHERE position"


AT_POSITION = f"{EVENT} = ?"


# no index has the headers: those that have the text somewhere are decoded, to see whether it is their correlation
CORRELATED = f"{EVENT} > ? AND position <= ? AND instr(headers, ?) ORDER BY position"


EVENT_COLUMNS = Columns(stream=str, revision=int, position=int, at=float, headers=bytes | None, body=bytes)


STRIDE = 100_000
"""Positions that one statement looks at, so that Ctrl-C ends a search in a large file."""


def find_position(inspector: Inspector, position: int, viewer: EventViewer) -> FoundEvents:
    """Return the event at a position, with its stream. Raises `NoSuchEvent`."""
    rows = inspector.rows(AT_POSITION, position, columns=EVENT_COLUMNS)
    if not rows:
        raise NoSuchEvent(position, inspector.path, _last(inspector))
    return FoundEvents(None, [_view(rows[0], viewer)], None)


def find_correlated(inspector: Inspector, id: str, after: int, limit: int, viewer: EventViewer) -> FoundEvents:
    """Return the first events of a journey behind a position. It reads the headers of all events, up to the limit.

    id: the correlation id of the events.
    """
    events: list[FoundEvent] = []
    for row in _correlated(inspector, id, after):
        if len(events) == limit:
            return FoundEvents(id, events, events[-1].event.position)
        events.append(_view(row, viewer))
    return FoundEvents(id, events, None)


def _correlated(inspector: Inspector, id: str, after: int) -> Iterator[Any]:
    """Yield the rows of the events behind a position that have a correlation id."""
    last, text = _last(inspector), msgspec.json.encode(id)[1:-1]
    while after < last:
        for row in inspector.connection.execute(CORRELATED, (after, after + STRIDE, text)):
            [checked] = EVENT_COLUMNS.check([row])
            if decode_headers(checked[4]).get(CORRELATION) == id:
                yield checked
        after += STRIDE


def _view(row: Any, viewer: EventViewer) -> FoundEvent:
    stream, revision, position, at, packed, body = row
    view = viewer.view(body, decode_headers(packed))
    return FoundEvent(stream, EventDetails(revision, position, at, view.actor, view.headers, view.content))


def _last(inspector: Inspector) -> int:
    [position] = LAST_POSITION.only(inspector.connection)
    return int(position)
