"""An inbox in the database."""

from __future__ import annotations

from modd.checks import checked_text
from modd.ports.errors import AlreadyHandled
from modd.stores.postgres.base import NOW, PostgresPart, Store
from modd.stores.postgres.foreign_access import ForeignAccess
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import encode_key

ADD = f"""INSERT INTO modd.inbox AS old (id, at) VALUES (%s, {NOW})
    ON CONFLICT (id) DO UPDATE SET at = excluded.at WHERE old.at <= excluded.at - %s"""


HAS = f"SELECT 1 FROM modd.inbox WHERE id = %s AND at > {NOW} - %s"


class PostgresInbox(PostgresPart):
    """A `modd.ports.Inbox` in the database of a `PostgresStore`, which sets its retention: ``store.inbox``.

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
        """Record an id as handled. Raises `modd.ports.AlreadyHandled` if it is recorded."""
        checked_text("id", id)
        await self._store.access("add").write(add_id, id, self._retention)

    async def has(self, id: str) -> bool:
        """True if the id is recorded."""
        query = Select(HAS, (encode_key(checked_text("id", id)), self._retention), title="an id of the inbox")
        return bool(await self._store.access("has").read(query))

    def using(self, session: object) -> SessionInbox:
        """Return the inbox in a transaction that you have open in your session; see `PostgresOutbox.using`."""
        return SessionInbox(self._store.access_in(session), self._retention)


class SessionInbox:
    """An inbox in a transaction of the application: ``store.inbox.using(session)``."""

    def __init__(self, access: ForeignAccess, retention: float) -> None:
        self._access, self._retention = access, retention

    async def add(self, id: str) -> None:
        """Record an id as handled, if the transaction commits. Raises `modd.ports.AlreadyHandled` if it is recorded.

        If another transaction that is open has added it, this call waits until that one ends.
        """
        await self._access.run(add_id, checked_text("id", id), self._retention)

    async def has(self, id: str) -> bool:
        """True if the id is recorded, also by the open transaction."""
        return bool(await self._access.run(is_recorded, checked_text("id", id), self._retention))


async def add_id(session: Session, id: str, retention: float) -> None:
    """Record an id as handled. Raises `AlreadyHandled`."""
    if not await session.count(ADD, (encode_key(id), retention)):
        raise AlreadyHandled(id)


async def is_recorded(session: Session, id: str, retention: float) -> bool:
    """True if the id is recorded."""
    return bool(await session.rows(HAS, (encode_key(id), retention)))
