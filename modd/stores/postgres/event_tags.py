"""Finding events by their tags."""

from __future__ import annotations

from typing import Any

from modd.ports.tagged import Tagged
from modd.stores.postgres.select import digest_of
from modd.stores.postgres.session import ConnectionSession, Session
from modd.stores.postgres.values import encode_texts

COLUMNS = "stream, revision, position, body, headers, at"


EVENTS_AT = f"SELECT {COLUMNS} FROM modd.events WHERE position = ANY(%s::bigint[]) ORDER BY position"


COUNT_SOME = """SELECT tag, (SELECT count(*) FROM (
        SELECT FROM modd.event_tags AS each WHERE each.tag = asked.tag AND position > %s LIMIT %s) AS counted)
    FROM unnest(%s::bytea[]) AS asked (tag)"""


# OFFSET 0 keeps the subqueries from becoming joins: they run for each event with the rarest tag
FIND = """(SELECT rarest.position FROM modd.event_tags AS rarest
    WHERE rarest.tag = %s AND rarest.position > %s AND (%s OR rarest.type = ANY(%s::bytea[]))
    AND NOT EXISTS (SELECT FROM unnest(%s::bytea[]) AS other (tag) WHERE NOT EXISTS (
        SELECT FROM modd.event_tags AS each WHERE each.tag = other.tag AND each.position = rarest.position OFFSET 0
    ) OFFSET 0) ORDER BY rarest.position LIMIT %s)"""


FIRST_COUNT = 8
"""Most events of each tag that are counted at first, to find the rarest tag; then 4 times as many, and so on."""


class EventsTagged:
    """A `ReadStatement` for the first events after a position that match, up to a limit."""

    __slots__ = ("after", "limit", "query")

    def __init__(self, query: Tagged, after: int, limit: int) -> None:
        self.query, self.after, self.limit = query, after, limit

    @property
    def title(self) -> str:
        """The words for it in a `modd.ports.ReadConflict`."""
        return f"the events of {self.query!r}"

    async def rows(self, session: ConnectionSession) -> list[Any]:
        """Return a row for each event, in the order of positions."""
        found = await positions_of(session, self.query, self.after, self.limit)
        return await session.rows(EVENTS_AT, (found,)) if found else []

    async def digest(self, session: ConnectionSession, rows: list[Any] | None = None) -> bytes:
        """Return what differs whenever its rows do: their positions, as events never change."""
        if rows is None:
            return digest_of(await positions_of(session, self.query, self.after, self.limit))
        return digest_of([position for _, _, position, *_ in rows])


async def positions_of(session: Session, query: Tagged, after: int, limit: int) -> list[int]:
    """Return the positions of the first events after a position that match a query, up to a limit.

    One statement finds those of all alternatives: an event that only one of them sees would hide an earlier one of
    another.
    """
    parameters: list[Any] = []
    for tags, types in query.alternatives:
        rarest, *others = await _rarest_first(session, encode_texts(tags), after)
        parameters += (rarest, after, not types, encode_texts(types), others, limit)
    finds = " UNION ".join([FIND] * len(query.alternatives))
    rows = await session.rows(
        f"SELECT position FROM ({finds}) AS found ORDER BY position LIMIT %s", (*parameters, limit)
    )
    return [position for [position] in rows]


async def _rarest_first(session: Session, tags: list[bytes], after: int) -> list[bytes]:
    """Return the tags in the order of the number of their events behind a position, as far as it matters.

    The cost follows the rarest tag: all are counted to a limit, and further only if there are more of each.
    """
    limit = FIRST_COUNT
    while len(tags) > 1:
        counts = dict(await session.rows(COUNT_SOME, (after, limit, tags)))
        if min(counts.values()) < limit:
            return sorted(tags, key=counts.__getitem__)
        limit *= 4
    return tags
