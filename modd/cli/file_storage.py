"""The ports of a store that only read, for a file that is inspected: so each module reads its documents itself."""

from __future__ import annotations

from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

from modd.cli.inspection import Inspector
from modd.follower.log_reader import type_of
from modd.follower.track import LoggedEvent
from modd.follower.track_lease import lease_key
from modd.stores.sqlite.damage import Columns, Damage
from modd.stores.sqlite.documents import BODY, GET, ITEM, ITEMS
from modd.stores.sqlite.event_appends import LAST_POSITION
from modd.stores.sqlite.sql import decode_headers

T = TypeVar("T")


TIME = Columns(at=float)


EVENT = Columns(headers=bytes | None, body=bytes)


class FileDocuments:
    """The documents of a space in a file.

    inspector: reads the file. space: the name of the space.
    """

    def __init__(self, inspector: Inspector, space: str) -> None:
        self._inspector, self._space = inspector, space

    async def get(self, key: str) -> bytes | None:
        """Return the body of a key; None if there is none."""
        rows = self._inspector.rows(GET, self._space, key, columns=BODY)
        return rows[0][0] if rows else None

    async def get_many(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the bodies of those keys that have one."""
        found = {key: await self.get(key) for key in keys}
        return {key: body for key, body in found.items() if body is not None}

    async def items(self, after: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return the first keys after a key, with their bodies."""
        return self._inspector.rows(ITEMS, self._space, after, limit, columns=ITEM)


class FileEvents:
    """The events in a file. inspector: reads the file."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    async def last(self) -> int:
        """Return the position of the last event."""
        [position] = LAST_POSITION.only(self._inspector.connection)
        return int(position)

    async def event(self, position: int) -> LoggedEvent:
        """Return the event at a position. Raises `Damage` if there is none, because nothing deletes events."""
        sql = "SELECT headers, body FROM modd_events WHERE position = ?"
        rows = self._inspector.rows(sql, position, columns=EVENT)
        if not rows:
            raise Damage(f"there is no event {position}, although a flow or a projection stands there")
        [(packed, body)] = rows
        headers = decode_headers(packed)
        return LoggedEvent(position, type_of(body, headers), body, headers)

    async def time_behind(self, position: int) -> float | None:
        """Return the time of the first event behind a position, in seconds since 1970; None if there is none."""
        sql = "SELECT at FROM modd_events WHERE position > ? ORDER BY position LIMIT 1"
        rows = self._inspector.rows(sql, position, columns=TIME)
        return rows[0][0] if rows else None


class FileStorage:
    """A store of which only documents and events can be read.

    inspector: reads the file.
    """

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self.events = FileEvents(inspector)

    def documents(self, space: str) -> FileDocuments:
        """Return the documents of a space."""
        return FileDocuments(self._inspector, space)

    def is_leased(self, track: str) -> bool:
        """Return True if a process has the lease of a track now."""
        sql = "SELECT until FROM modd_locks WHERE key = ? AND until > ?"
        return bool(self._inspector.rows(sql, lease_key(track), self._inspector.clock(), columns=TIME))


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that only reads a file, and so never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it has waited")  # pragma: no cover
