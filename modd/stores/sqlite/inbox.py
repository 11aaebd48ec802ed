"""An inbox in the file."""

from __future__ import annotations

from collections.abc import Sequence

from modd.checks import checked_text
from modd.ports.errors import AlreadyHandled
from modd.stores.sqlite.base import Store, StorePart
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import CallArgs, Connection

ADD = """INSERT INTO modd_inbox (id, at) VALUES (?, ?)
    ON CONFLICT (id) DO UPDATE SET at = excluded.at WHERE at <= ?"""


HAS = "SELECT 1 FROM modd_inbox WHERE id = ? AND at > ?"


class SqliteInbox(StorePart):
    """A `modd.ports.Inbox` in the file of a `SqliteStore`, which sets its retention: ``store.inbox``.

    In a transaction that defers writes, `modd.ports.AlreadyHandled` is raised when it commits.
    """

    def __init__(self, store: Store, retention: float) -> None:
        super().__init__(store)
        self._retention = retention

    @property
    def retention(self) -> float:
        """The seconds for which an id is remembered."""
        return self._retention

    async def add(self, id: str) -> None:
        """Note that the id is handled. Raises `modd.ports.AlreadyHandled` if it was noted before."""
        now = self._store.clock()
        checked_text("id", id)
        await self._store.access("add").write(add_ids, id, now, now - self._retention)

    async def has(self, id: str) -> bool:
        """True if the id is noted."""
        rows = await self._store.access("has").read(
            Select(HAS, (checked_text("id", id), self._store.clock() - self._retention))
        )
        return bool(rows)


def add_ids(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Note ids; each call has the id, the time now, and the time up to which earlier ids have expired."""
    for call in calls:
        if not connection.execute(ADD, call).rowcount:
            raise AlreadyHandled(call[0])
    return [None] * len(calls)
