"""The operations that append events, and the one that saves a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from modd.ports.errors import QueryConflict, RevisionConflict
from modd.ports.items import Item
from modd.ports.tagged import TYPE_HEADER, Tagged
from modd.stores.postgres.base import NOW
from modd.stores.postgres.event_tags import positions_of
from modd.stores.postgres.session import Session, in_order
from modd.stores.postgres.values import LARGEST, encode_headers, encode_optional, encode_text

EVENTS = "events"
"""The channel on which commits with events tell of them."""


LAST_POSITION = "SELECT coalesce(max(position), 0) FROM modd.events"


LAST_REVISION = "SELECT coalesce(max(revision), 0) FROM modd.events WHERE stream = %s"


# one statement, because all who append wait for it; the stream twice, the events, and the revision, NULL for any
INSERT = f"""WITH
    last AS MATERIALIZED (SELECT ({LAST_POSITION}) AS position, ({LAST_REVISION}) AS revision, {NOW} AS at),
    added AS (
        INSERT INTO modd.events (position, stream, revision, at, headers, body)
        SELECT last.position + number, %s, last.revision + number, at, event.headers, event.body
        FROM last, unnest(%s::bytea[], %s::bytea[]) WITH ORDINALITY AS event (headers, body, number)
        WHERE last.revision = coalesce(%s::bigint, last.revision)
        RETURNING position)
    SELECT max(position) FROM added"""


INSERT_TAGS = """INSERT INTO modd.event_tags (tag, position, type)
    SELECT * FROM unnest(%s::bytea[], %s::bigint[], %s::bytea[])"""


SAVE_SNAPSHOT = f"""INSERT INTO modd.snapshots AS old (stream, revision, at, headers, body)
    VALUES (%s, %s, {NOW}, %s, %s)
    ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, at = excluded.at, headers = excluded.headers,
    body = excluded.body WHERE excluded.revision >= old.revision"""


class EventColumns:
    """Events as columns: headers and bodies; and, of each tag of an event, the tag, the event's number and its type."""

    __slots__ = ("bodies", "headers", "tags")

    def __init__(self, items: Sequence[Item]) -> None:
        self.headers = [encode_headers(item.headers) for item in items]
        self.bodies = [item.body for item in items]
        self.tags = [
            (encode_text(tag), number, encode_optional(item.headers.get(TYPE_HEADER)))
            for number, item in enumerate(items)
            for tag in dict.fromkeys(item.tags)
        ]


@in_order
async def append_events(session: Session, stream: str, expected: int, events: EventColumns) -> None:
    """Append events to a stream that is at a revision. Raises `RevisionConflict`."""
    if await _insert(session, stream, min(expected, LARGEST), events) is None:
        [[actual]] = await session.rows(LAST_REVISION, (encode_text(stream),))
        if actual != expected:
            raise RevisionConflict(stream, expected, actual)


@in_order
async def append_unless(session: Session, stream: str, query: Tagged, after: int, events: EventColumns) -> int:
    """Append events to a stream, and return the last position. Raises `QueryConflict` if an event matches."""
    matches = await positions_of(session, query, after, 1)
    if matches:
        raise QueryConflict(query, after, matches[0])
    last = await _insert(session, stream, None, events)
    if last is None:
        [[last]] = await session.rows(LAST_POSITION)
    return last


async def store_snapshot(session: Session, stream: str, revision: int, headers: bytes | None, body: bytes) -> None:
    """Store the snapshot of a stream, unless there is a later one."""
    await session.count(SAVE_SNAPSHOT, (encode_text(stream), revision, headers, body))


async def _insert(session: Session, stream: str, expected: int | None, events: EventColumns) -> int | None:
    """Insert events, and return the last position; None if there are none, or the stream is at another revision."""
    if not events.bodies:
        return None
    name = encode_text(stream)
    [[last]] = await session.rows(INSERT, (name, name, events.headers, events.bodies, expected))
    if last is not None:
        await _insert_tags(session, last - len(events.bodies) + 1, events)
        session.tell(EVENTS)
    return None if last is None else int(last)


async def _insert_tags(session: Session, first: int, events: EventColumns) -> None:
    if events.tags:
        tags, numbers, types = zip(*events.tags, strict=True)
        await session.count(INSERT_TAGS, ([*tags], [first + number for number in numbers], [*types]))
