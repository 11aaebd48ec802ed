"""Locks in the file."""

from __future__ import annotations

from collections.abc import Sequence

from modd.checks import checked_span, checked_text
from modd.stores.sqlite.base import StorePart
from modd.stores.sqlite.sql import CallArgs, Connection

ACQUIRE = """INSERT INTO modd_locks (key, token, until) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET token = excluded.token, until = excluded.until WHERE until <= ?"""


RENEW = "UPDATE modd_locks SET until = ? WHERE key = ? AND token = ? AND until > ?"


RELEASE = "DELETE FROM modd_locks WHERE key = ? AND token = ?"


class SqliteLocks(StorePart):
    """A `modd.ports.Locks` in the file of a `SqliteStore`, among all processes that use it: ``store.locks``.

    A lock is acquired and released at once, also in a transaction that defers writes: it is not part of that.
    """

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to acquire the lock for ``ttl`` seconds; True if the token holds it now."""
        seconds, now = checked_span("ttl", ttl), self._store.clock()
        checked_text("key", key)
        checked_text("token", token)
        access = self._store.access("acquire", at_once=True)
        is_held: bool = await access.write_for_result("acquire", acquire_locks, key, token, now + seconds, now)
        return is_held

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Extend the lock to ``ttl`` seconds from now; False if the token does not hold it any more."""
        seconds, now = checked_span("ttl", ttl), self._store.clock()
        checked_text("key", key)
        checked_text("token", token)
        access = self._store.access("renew", at_once=True)
        is_held: bool = await access.write_for_result("renew", renew_locks, now + seconds, key, token, now)
        return is_held

    async def release(self, key: str, token: str) -> None:
        """Release the lock if the token holds it."""
        checked_text("key", key)
        checked_text("token", token)
        await self._store.access("release", at_once=True).write(release_locks, key, token)


def acquire_locks(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[bool]:
    """Acquire locks that are free; each call has the key, the token, the time at which the lock ends, and now."""
    return [connection.execute(ACQUIRE, call).rowcount > 0 for call in calls]


def renew_locks(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[bool]:
    """Extend locks; each call has the new end, the key, the token, and the time now."""
    return [connection.execute(RENEW, call).rowcount > 0 for call in calls]


def release_locks(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Release locks; each call has the key and the token."""
    connection.executemany(RELEASE, calls)
    return [None] * len(calls)
