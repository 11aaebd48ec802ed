"""The streams of events in a file, and the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modd.aggregate import Aggregate
from modd.cli.errors import MOST_NAMED, NoSuchStream
from modd.cli.event_content import EventViewer
from modd.cli.event_reports import EventDetails, EventList, StreamList, StreamSummary
from modd.cli.inspection import Inspector
from modd.cli.states import States
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.event_appends import LAST_POSITION, LAST_REVISION, REVISION
from modd.stores.sqlite.sql import decode_headers

# from name to name by the index, because to group the events would read all of them
STREAMS = """WITH RECURSIVE names (name) AS (
    SELECT min(stream) FROM modd_events WHERE stream > ?
    UNION ALL SELECT (SELECT min(stream) FROM modd_events WHERE stream > name) FROM names WHERE name IS NOT NULL
    LIMIT ?)
    SELECT name, revision, position, at FROM names CROSS JOIN modd_events ON stream = name
    WHERE revision = (SELECT max(revision) FROM modd_events WHERE stream = name) ORDER BY name"""


STREAM_COLUMNS = Columns(name=str, revision=int, position=int, at=float)


EVENTS = """SELECT revision, position, at, headers, body FROM modd_events
    WHERE stream = ? AND revision > ? ORDER BY revision LIMIT ?"""


EVENT_COLUMNS = Columns(revision=int, position=int, at=float, headers=bytes | None, body=bytes)


def list_streams(inspector: Inspector, after: str, limit: int) -> StreamList:
    """List the first streams behind a name; an empty name for all."""
    rows = inspector.rows(STREAMS, after, limit + 1, columns=STREAM_COLUMNS)
    streams = [StreamSummary(*row) for row in rows[:limit]]
    [events] = LAST_POSITION.only(inspector.connection)
    return StreamList(inspector.path, events, streams, streams[-1].name if len(rows) > limit else None)


def list_events(
    inspector: Inspector,
    stream: str,
    after: int,
    limit: int,
    viewer: EventViewer,
    aggregate: Aggregate[Any] | None = None,
) -> EventList:
    """List the first events of a stream behind a revision. Raises `NoSuchStream`.

    aggregate: makes the state after each event; None for no states.
    """
    [[total]] = inspector.rows(LAST_REVISION, stream, columns=REVISION)
    if not total:
        near = list_streams(inspector, stream.rpartition("/")[0], MOST_NAMED).streams
        raise NoSuchStream(stream, inspector.path, (each.name for each in near))
    states = None if aggregate is None else States(aggregate)
    after = min(after, total)
    end = min(after + limit, total)
    events: list[EventDetails] = []
    for row in _rows(inspector, stream, after if states is None else 0, end):
        events += _view(row, viewer, states, is_shown=row[0] > after)
    name = None if aggregate is None else aggregate.name
    return EventList(stream, name, total, events, end if end < total else None)


def _rows(inspector: Inspector, stream: str, after: int, end: int) -> Iterator[Any]:
    for row in inspector.connection.execute(EVENTS, (stream, after, max(end - after, 0))):  # one by one, as there may
        yield from EVENT_COLUMNS.check([row])  # be a million


def _view(row: Any, viewer: EventViewer, states: States | None, *, is_shown: bool) -> Iterator[EventDetails]:
    """Go on to the state after an event, and yield the event if it is shown."""
    revision, position, at, packed, body = row
    if states is not None and not is_shown:
        states.apply(revision, viewer.decode(body))
        return
    view = viewer.view(body, decode_headers(packed))
    state, note = None, ""
    if states is not None:
        states.apply(revision, view.event)
        state, note = states.view()
    yield EventDetails(revision, position, at, view.actor, view.headers, view.content, state, note)
