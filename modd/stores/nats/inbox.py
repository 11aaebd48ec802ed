"""An inbox on a NATS server."""

from __future__ import annotations

from modd.checks import checked_text
from modd.ports.errors import AlreadyHandled
from modd.stores.nats.access import NatsPart, NatsParts
from modd.stores.nats.expiry import get_current, write_until
from modd.stores.nats.overlay import Overlay


class NatsInbox(NatsPart):
    """A `modd.ports.Inbox` of a `NatsStore`, which sets its retention: ``store.inbox``.

    In a transaction that defers writes, `modd.ports.AlreadyHandled` is raised when it commits.
    """

    def __init__(self, store: NatsParts, retention: float) -> None:
        super().__init__(store)
        self._retention = retention

    @property
    def retention(self) -> float:
        """The seconds for which an id is remembered."""
        return self._retention

    async def add(self, id: str) -> None:
        """Note that the id is handled. Raises `modd.ports.AlreadyHandled` if it was noted before."""
        subject = self._subject(id)
        access = await self._timed_access("add")
        await access.write(add_id, subject, id, self._retention)

    async def has(self, id: str) -> bool:
        """True if the id is noted."""
        subject = self._subject(id)
        access = await self._timed_access("has")
        return bool(await access.read("an id of the inbox", has_id, subject))

    def _subject(self, id: str) -> str:
        return self._store.subjects.inbox(checked_text("id", id))


async def add_id(overlay: Overlay, subject: str, id: str, retention: float) -> None:
    """Note an id. Raises `AlreadyHandled`."""
    if await get_current(overlay, subject) is not None:
        raise AlreadyHandled(id)
    write_until(overlay, subject, retention, {"id": id})


async def has_id(overlay: Overlay, subject: str) -> bool:
    """True if an id is noted."""
    return await get_current(overlay, subject) is not None
