"""An inbox in the file."""

from __future__ import annotations

from collections.abc import Sequence

from modd.ports.errors import AlreadyHandled
from modd.stores.sqlite.base import Host, Part
from modd.stores.sqlite.readers import rows_of
from modd.stores.sqlite.sql import Call, Connection

ADD = """INSERT INTO modd_inbox (id, at) VALUES (?, ?)
    ON CONFLICT (id) DO UPDATE SET at = excluded.at WHERE at <= ?"""


HAS = "SELECT 1 FROM modd_inbox WHERE id = ? AND at > ?"


class SqliteInbox(Part):
    """A `modd.ports.Inbox` in the file of a `SqliteStore`, which has it as ``store.inbox`` and says how long it keeps.

    In a transaction that collects its writes, `modd.ports.AlreadyHandled` is raised when it commits.
    """

    def __init__(self, host: Host, keep: float) -> None:
        super().__init__(host)
        self._keep = keep

    async def add(self, id: str) -> None:
        """Note that it is handled. Raises `modd.ports.AlreadyHandled` if it is noted."""
        now = self._host.clock()
        await self._host.way("add").note(noted, id, now, now - self._keep)

    async def has(self, id: str) -> bool:
        """Whether it is noted."""
        found = await self._host.way("has").read(rows_of(HAS, (id, self._host.clock() - self._keep)))
        return bool(found)


def noted(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Note ids: each call has the id, the time now, and the one until which what was noted is forgotten."""
    for call in calls:
        if not connection.execute(ADD, call).rowcount:
            raise AlreadyHandled(call[0])
    return [None] * len(calls)
