"""Finding events by their tags."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from modd.ports.tagged import Alternative, Tagged
from modd.stores.sqlite.damage import Columns, Damage
from modd.stores.sqlite.savepoint import one_state
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Connection

COLUMNS = "stream, revision, position, body, headers, at"


EVENT = Columns(stream=str, revision=int, position=int, body=bytes, headers=bytes | None, at=float)


# one text for any number of positions, so that SQLite caches one statement
EVENTS_AT = f"SELECT {COLUMNS} FROM modd_events WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position"


COUNT_SOME = """SELECT count(*) FROM (
    SELECT 1 FROM modd_event_tags WHERE tag = ? AND position > ? LIMIT ?)"""


POSITIONS = Columns(position=int)


FIRST_COUNT = 8
"""Most events of each tag that are counted at first, to find the rarest tag; then 4 times as many, and so on."""


class TaggedPositions(Select):
    """The positions of the first events after a position that match a query, up to a limit."""

    __slots__ = ("after", "limit", "query")

    def __init__(self, query: Tagged, after: int, limit: int) -> None:
        super().__init__("", columns=POSITIONS)
        self.query, self.after, self.limit = query, after, limit

    @property
    def title(self) -> str:
        """The words for it in a `modd.ports.ReadConflict`; made when they are asked for, as it takes time."""
        return f"the events of {self.query!r}"

    def execute(self, connection: Connection) -> list[Any]:
        """Return a row for each position, rising."""
        with one_state(connection):  # an event that only one alternative sees would hide an earlier one of another
            rows = {row for each in self.query.alternatives for row in self._find(connection, each)}
        return sorted(rows)[: self.limit]

    def _find(self, connection: Connection, alternative: Alternative) -> list[Any]:
        tags = _rarest_first(connection, alternative.tags, self.after)
        if not tags:
            return []
        sql = _find_sql(len(tags), len(alternative.types))
        return connection.execute(sql, (*tags[1:], tags[0], self.after, *alternative.types, self.limit)).fetchall()


class TaggedEvents(TaggedPositions):
    """The first events after a position that match a query, up to a limit."""

    __slots__ = ()

    def __init__(self, query: Tagged, after: int, limit: int) -> None:
        super().__init__(query, after, limit)
        self.columns, self.version = EVENT, TaggedPositions(query, after, limit)

    def execute(self, connection: Connection) -> list[Any]:
        """Return a row for each event. Raises `Damage` if one is missing."""
        positions = [position for [position] in super().execute(connection)]
        rows = connection.execute(EVENTS_AT, (_encode(positions),)).fetchall() if positions else []
        if len(rows) != len(positions):
            raise Damage(f"tags of {len(positions)} events, of which {len(rows)} are there")
        return rows


def _rarest_first(connection: Connection, tags: tuple[str, ...], after: int) -> list[str]:
    """Return the tags with the rarest one behind a position first; an empty list if there is no event with one of them.

    The cost follows the rarest tag: all are counted to a limit, and further only if there are more of each.
    """
    if len(tags) == 1:
        return [*tags]
    limit = FIRST_COUNT
    while True:
        counts = {tag: connection.execute(COUNT_SOME, (tag, after, limit)).fetchall()[0][0] for tag in tags}
        least = min(counts.values())
        if least < limit:
            return sorted(tags, key=counts.__getitem__) if least else []
        limit *= 4


@lru_cache
def _find_sql(tags: int, types: int) -> str:
    """Return the statement for a number of tags and types.

    It goes through the events with the rarest tag, because CROSS JOIN keeps the order of the tables. Its parameters:
    the other tags, the rarest one, the position, the types, the limit.
    """
    joins = [
        f"CROSS JOIN modd_event_tags AS tag{at} ON tag{at}.tag = ? AND tag{at}.position = rarest.position"
        for at in range(1, tags)
    ]
    one_of = f"AND rarest.type IN ({', '.join('?' * types)})" if types else ""
    return f"""SELECT rarest.position FROM modd_event_tags AS rarest {" ".join(joins)}
        WHERE rarest.tag = ? AND rarest.position > ? {one_of} ORDER BY rarest.position LIMIT ?"""


_encode = msgspec.json.Encoder().encode
